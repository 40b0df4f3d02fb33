package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/stretchr/testify/require"
)

func TestTheClientFindsItsWay(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	for _, line := range []string{
		`WWW-Authenticate: Bearer realm="api",\n +scope="notes:read",\n +resource_metadata="https://127\.0\.0\.1:\d+/\.well-known/oauth-protected-resource/mcp"\n`,
		`grant_type=client_credentials&resource=https%3A%2F%2F127\.0\.0\.1%3A\d+%2Fmcp&scope=notes%3Aread\n`,
		`error="insufficient_scope",\n.*\n +scope="notes:read notes:write",\n +resource_metadata=`,
		`&scope=notes%3Aread\+notes%3Awrite\n`,
		`notes-bot has noted`,
		`All 14 requests were answered as they should be\.`,
	} {
		require.Regexp(t, line, out.String())
	}
	require.NotRegexp(t, `eyJ[\w-]{20}|Basic \w`, out.String(), "a token or a password")
	for line := range strings.Lines(out.String()) {
		require.LessOrEqual(t, len([]rune(line)), 130, line)
	}
}

const endpointURL = "https://notes.example/mcp"

// post sends a message to a server, with a token where there is one.
func post(h http.Handler, token, message string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", endpointURL, strings.NewReader(message))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func callOf(tool string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":{"text":"buy milk"}}}`
}

func TestAToolStaysClosedWithoutItsScopes(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	server := newServer(issuer.Validator(endpointURL))
	tests := []struct {
		name, token, tool string
		status            int
		challenge         string
	}{
		{"no token", "", "list_notes", 401, `scope="notes:read"`},
		{"an ID Token", issuer.IDToken(), "list_notes", 401, `error="invalid_token"`},
		{"of another server", issuer.Token(authtest.Audience("https://notes.example/other"), authtest.Scope("notes:read")), "list_notes", 401, `error="invalid_token"`},
		{"no scope", issuer.Token(), "list_notes", 403, `scope="notes:read"`},
		{"to read only", issuer.Token(authtest.Scope("notes:read")), "add_note", 403, `scope="notes:read notes:write"`},
		{"to write only", issuer.Token(authtest.Scope("notes:write")), "add_note", 403, `scope="notes:read"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := post(server, tt.token, callOf(tt.tool))
			require.Equal(t, tt.status, w.Code)
			require.Contains(t, w.Header().Get("WWW-Authenticate"), tt.challenge)
			require.Contains(t, w.Header().Get("WWW-Authenticate"), `resource_metadata="https://notes.example/.well-known/oauth-protected-resource/mcp"`)
		})
	}
	both := issuer.Token(authtest.Scope("notes:read", "notes:write"))
	require.Contains(t, post(server, both, callOf("list_notes")).Body.String(), "has noted []")
	require.Contains(t, post(server, both, callOf("add_note")).Body.String(), `has noted [\"buy milk\"]`)
	require.Contains(t, post(server, both, callOf("list_notes")).Body.String(), `has noted [\"buy milk\"]`)
	other := issuer.Token(authtest.Scope("notes:read"), authtest.Subject("user-2"))
	require.Contains(t, post(server, other, callOf("list_notes")).Body.String(), "has noted []", "notes are their owner's")
}

func TestWhatTheServerAnswers(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	server := newServer(issuer.Validator(endpointURL))
	token := issuer.Token(authtest.Scope("notes:read", "notes:write"))
	tests := []struct {
		message string
		status  int
		body    string
	}{
		{`{"jsonrpc":"2.0","id":"a","method":"ping"}`, 200, `{"jsonrpc":"2.0","id":"a","result":{}}`},
		{`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`, 200, `"protocolVersion":"2025-11-25"`},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, 200, `"name":"add_note","description":"Adds a note to yours.","inputSchema":{"type":"object"`},
		{`{"jsonrpc":"2.0","method":"notifications/initialized"}`, 202, ``},
		{`{"jsonrpc":"2.0","id":1,"method":"resources/list"}`, 200, `"code":-32601`},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, 200, `"code":-32602`},
		{callOf("delete_notes"), 200, `"code":-32602`},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add_note","arguments":{}}}`, 200, `"isError":true`},
		{`{"jsonrpc":"2.0","id":1,"method":"ping"`, 400, `"code":-32700`},
		{`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, 400, `"code":-32600`},
		{`{"jsonrpc":"1.0","id":1,"method":"ping"}`, 400, `"code":-32600`},
		{`{"jsonrpc":"2.0","id":null,"method":"ping"}`, 400, `"code":-32600`},
		{`{"jsonrpc":"2.0","id":1,"result":{}}`, 400, `"code":-32600`},
		{strings.Repeat(" ", 64<<10) + `{}`, 400, `too large`},
	}
	for _, tt := range tests {
		w := post(server, token, tt.message)
		require.Equal(t, tt.status, w.Code, tt.message)
		require.Contains(t, w.Body.String(), tt.body, tt.message)
	}
	ping := tests[0].message
	require.Equal(t, 403, post(server, token, ping, "Origin", "https://evil.example").Code)
	require.Equal(t, 400, post(server, token, ping, "MCP-Protocol-Version", "1999-01-01").Code)
	w := httptest.NewRecorder()
	server.ServeHTTP(w, httptest.NewRequest("GET", endpointURL, nil))
	require.Equal(t, 405, w.Code, "there are no streams")
}

// A network has handlers by host.
type network map[string]http.Handler

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	h, ok := n[r.URL.Host]
	if !ok {
		return nil, fmt.Errorf("there is no %s", r.URL.Host)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	response := w.Result()
	response.Request = r
	return response, nil
}

// A client that may not have the scope stays outside, and its token as it was.
func TestAClientWithoutTheRightToAScopeStaysOutside(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	issuer.AddClient("reader", "secret", endpointURL, "notes:read")
	through := network{"notes.example": newServer(issuer.Validator(endpointURL)), hostOf(issuer.URL()): reach(issuer)}
	c := newClient(through, endpointURL, issuer.URL(), "reader", "secret")

	require.NoError(t, callTool(t.Context(), c, "list_notes", nil, "reader has noted []"))
	err := callTool(t.Context(), c, "add_note", map[string]any{"text": "buy milk"}, "")
	require.ErrorContains(t, err, "400 Bad Request: invalid_scope")
	require.NoError(t, callTool(t.Context(), c, "list_notes", nil, "reader has noted []"))
}

func hostOf(url string) string {
	return strings.TrimSuffix(strings.TrimPrefix(url, "https://"), "/")
}

// reach returns a handler that passes on to an issuer in memory.
func reach(issuer *authtest.Issuer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := issuer.HTTPClient().Transport.RoundTrip(r)
		if err != nil {
			panic(err)
		}
		defer response.Body.Close()
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	})
}

func TestWhatTheClientDoesNotFallFor(t *testing.T) {
	const challenge = `Bearer resource_metadata="https://notes.example/metadata"`
	const metadata = `{"resource":"https://notes.example/mcp","authorization_servers":["https://issuer.example/t"]}`
	const server = `{"issuer":"https://issuer.example/t","token_endpoint":"https://issuer.example/token"}`
	const granted = `{"access_token":"a","token_type":"bearer"}`
	tests := []struct {
		name, challenge, metadata, server, granted string
		want                                       string
		asked                                      string // what was asked for after the refusal
	}{
		{"no challenge", "", metadata, server, granted, "401", ""},
		{"a challenge of another kind", `Basic realm="a"`, metadata, server, granted, "401", ""},
		{"a broken challenge", `Bearer realm="a`, metadata, server, granted, "has no end", ""},
		{"no metadata", `Bearer realm="a"`, metadata, server, granted, `resource_metadata is ""`, ""},
		{"metadata that anyone could write", `Bearer resource_metadata="http://notes.example/metadata"`, metadata, server, granted, `"http://notes.example/metadata"`, ""},
		{"metadata of another resource", challenge, strings.Replace(metadata, "/mcp", "/other", 1), server, granted, "not of https://notes.example/mcp", "/metadata"},
		{"an authorization server that it does not know", challenge, strings.Replace(metadata, "issuer", "evil", 1), server, granted, "not registered at any of", "/metadata"},
		{"metadata of another issuer", challenge, metadata, strings.Replace(server, "issuer.", "evil.", 1), granted, "not of https://issuer.example/t", "/metadata /.well-known/oauth-authorization-server/t"},
		{"no bearer token", challenge, metadata, server, `{"access_token":"a","token_type":"DPoP"}`, "no bearer token", "/metadata /.well-known/oauth-authorization-server/t /token"},
		{"a server that is never content", challenge, metadata, server, granted, "401",
			strings.Repeat("/metadata /.well-known/oauth-authorization-server/t /token ", maxTokens)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			serve := func(body string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					asked = append(asked, r.URL.Path)
					fmt.Fprint(w, body)
				}
			}
			notes, issuer := http.NewServeMux(), http.NewServeMux()
			notes.HandleFunc("/mcp", func(w http.ResponseWriter, _ *http.Request) {
				if tt.challenge != "" {
					w.Header().Set("WWW-Authenticate", tt.challenge)
				}
				w.WriteHeader(http.StatusUnauthorized)
			})
			notes.Handle("/metadata", serve(tt.metadata))
			issuer.Handle("/.well-known/oauth-authorization-server/t", serve(tt.server))
			issuer.Handle("/token", serve(tt.granted))
			c := newClient(network{"notes.example": notes, "issuer.example": issuer}, endpointURL, "https://issuer.example/t", "bot", "secret")

			require.ErrorContains(t, c.call(t.Context(), "ping", nil, new(any)), tt.want)
			require.Equal(t, strings.Fields(tt.asked), append([]string{}, asked...))
		})
	}
}

func TestAChallengeIsFound(t *testing.T) {
	type is = map[string]string
	tests := []struct {
		values []string
		want   is
	}{
		{nil, nil},
		{[]string{""}, nil},
		{[]string{`Basic realm="a"`}, nil},
		{[]string{`Bearer`}, is{}},
		{[]string{`bearer realm="api", scope="a b"`}, is{"realm": "api", "scope": "a b"}},
		{[]string{`Bearer Realm=api,scope = "a"`}, is{"realm": "api", "scope": "a"}},
		{[]string{`Bearer realm="a, Bearer \"scope\"=\\"`}, is{"realm": `a, Bearer "scope"=\`}},
		{[]string{`Basic realm="Bearer scope=a", Bearer scope="b"`}, is{"scope": "b"}},
		{[]string{`Bearer scope="a", Basic realm="b", DPoP scope="c"`}, is{"scope": "a"}},
		{[]string{`Negotiate Bearer==, Bearer scope="a"`}, is{"scope": "a"}},
		{[]string{`Negotiate Bearer`, `,, Bearer ,scope="a",`}, is{"scope": "a"}},
		{[]string{`Bearer scope="a"`, `Bearer scope="b"`}, is{"scope": "a"}},
	}
	for _, tt := range tests {
		got, err := bearerChallenge(tt.values)
		require.NoError(t, err, "%q", tt.values)
		require.Equal(t, tt.want, got, "%q", tt.values)
	}
	for _, broken := range []string{`Bearer scope="a`, `Bearer scope="a\`, `Bearer "a"`, `Bearer scope="a", Scope="b"`} {
		_, err := bearerChallenge([]string{broken})
		require.Error(t, err, broken)
	}
}

// A step that is not as it should be must show, or the program proves nothing.
func TestAnOpenServerIsAnError(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	server := newServer(issuer.Validator(endpointURL))
	token := issuer.Token(authtest.Scope("notes:read", "notes:write"))
	open := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+token)
		server.ServeHTTP(w, r)
	})
	talk := &conversation{through: network{"notes.example": open}, out: io.Discard}
	err := play(t.Context(), newClient(talk, endpointURL, issuer.URL(), "bot", "secret"), talk)
	require.ErrorContains(t, err, "step 1: what was said is\n\tPOST /mcp 200\n\tPOST /mcp 202\nand should be\n\tPOST /mcp 401\n")
}
