// Command mcp shows how a client that is not configured finds its way to the tools
// of a server which bearerguard protects, as clients of the Model Context Protocol
// do:
//
//	go run ./examples/mcp
//
// It starts a fake authorization server and an MCP server on loopback ports, and a
// client that knows the URL of the MCP server and its own credentials. It prints
// what they say to each other, and ends with status 1 if a step is not as it should
// be.
//
// server.go is the MCP server, as a program of yours would have it. client.go is
// the client. Both know as much of the protocol as they need: an answer is one JSON
// object, and there are no streams and no sessions.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mcp:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stdout io.Writer) error {
	issuer, err := authtest.Start("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer issuer.Close()

	// A resource is an https URL. This server has a certificate for loopback, which
	// its own client trusts.
	server := httptest.NewUnstartedServer(nil)
	endpoint := "https://" + server.Listener.Addr().String() + "/mcp"
	validator, err := claims.NewValidator(claims.Config{Issuer: issuer.URL(), Audience: endpoint})
	if err != nil {
		return err
	}
	server.Config.Handler = newServer(validator)
	server.StartTLS()
	defer server.Close()

	issuer.AddClient("notes-bot", "notes-bot-secret", endpoint, "notes:read", "notes:write")
	talk := &conversation{through: server.Client().Transport, out: stdout}
	c := newClient(talk, endpoint, issuer.URL(), "notes-bot", "notes-bot-secret")

	fmt.Fprintf(stdout, "MCP server            %s\nauthorization server  %s\nclient                knows the first, and its ID and secret at the second\n", endpoint, issuer.URL())
	if err := play(ctx, c, talk); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nAll %d requests were answered as they should be.\n", talk.count)
	return nil
}

func newClient(through http.RoundTripper, endpoint, issuer, id, secret string) *client {
	return &client{
		http: &http.Client{
			Transport: through,
			Timeout:   10 * time.Second,
			// None of these requests, some of which have secrets, is another's to send on.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		endpoint:    endpoint,
		credentials: map[string]credentials{issuer: {id, secret}},
	}
}

// play has the client do its work, and compares what was said with what should be.
func play(ctx context.Context, c *client, talk *conversation) error {
	acts := []struct {
		title string
		do    func() error
		said  []string
	}{
		{"The client calls the server, is refused, and finds out where to get a token.", func() error {
			var got struct {
				Version string `json:"protocolVersion"`
			}
			err := c.call(ctx, "initialize", map[string]any{
				"protocolVersion": protocolVersion,
				"capabilities":    map[string]any{},
				"clientInfo":      map[string]string{"name": "notes-bot", "version": "1.0.0"},
			}, &got)
			if err == nil && got.Version != protocolVersion {
				return fmt.Errorf("the server speaks %q", got.Version)
			}
			return cmp.Or(err, c.notify(ctx, "notifications/initialized"))
		}, []string{
			"POST /mcp 401",
			"GET /.well-known/oauth-protected-resource/mcp 200",
			"GET /.well-known/oauth-authorization-server 200",
			"POST /oauth/token 200",
			"POST /mcp 200",
			"POST /mcp 202",
		}},
		{"With this token it can look around, and call the tool that reads.", func() error {
			var got struct{ Tools []tool }
			if err := c.call(ctx, "tools/list", nil, &got); err != nil {
				return err
			}
			if len(got.Tools) != 2 {
				return fmt.Errorf("the server has %d tools", len(got.Tools))
			}
			return callTool(ctx, c, "list_notes", map[string]any{}, "notes-bot has noted []")
		}, []string{
			"POST /mcp 200",
			"POST /mcp 200",
		}},
		// The client keeps nothing but the token, so it asks for the metadata again.
		{"The tool that writes needs a further scope. The refusal names all that the new token must have.", func() error {
			return callTool(ctx, c, "add_note", map[string]any{"text": "buy milk"}, `notes-bot has noted ["buy milk"]`)
		}, []string{
			"POST /mcp 403",
			"GET /.well-known/oauth-protected-resource/mcp 200",
			"GET /.well-known/oauth-authorization-server 200",
			"POST /oauth/token 200",
			"POST /mcp 200",
		}},
		{"The new token is good for both tools.", func() error {
			return callTool(ctx, c, "list_notes", map[string]any{}, `notes-bot has noted ["buy milk"]`)
		}, []string{
			"POST /mcp 200",
		}},
	}
	for i, act := range acts {
		fmt.Fprintf(talk.out, "\n%d. %s\n", i+1, act.title)
		talk.said = nil
		err := act.do()
		if !slices.Equal(talk.said, act.said) {
			err = errors.Join(err, fmt.Errorf("what was said is\n\t%s\nand should be\n\t%s", strings.Join(talk.said, "\n\t"), strings.Join(act.said, "\n\t")))
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// callTool calls a tool that should return this text.
func callTool(ctx context.Context, c *client, name string, arguments map[string]any, text string) error {
	var got struct {
		Content []struct{ Text string }
		IsError bool
	}
	if err := c.call(ctx, "tools/call", map[string]any{"name": name, "arguments": arguments}, &got); err != nil {
		return err
	}
	if got.IsError || len(got.Content) != 1 || got.Content[0].Text != text {
		return fmt.Errorf("%s has returned %+v", name, got)
	}
	return nil
}

// A conversation prints the requests that it passes on, and their responses.
type conversation struct {
	through http.RoundTripper
	out     io.Writer
	said    []string // such as "POST /mcp 401"
	count   int
}

// RoundTrip implements [http.RoundTripper].
func (t *conversation) RoundTrip(r *http.Request) (*http.Response, error) {
	fmt.Fprintf(t.out, "\n   → %s %s\n", r.Method, r.URL)
	t.header(r.Header, "Authorization")
	if r.GetBody != nil {
		sent, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		if _, err := t.body(sent); err != nil {
			return nil, err
		}
	}
	response, err := t.through.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(t.out, "   ← %s\n", response.Status)
	t.header(response.Header, "WWW-Authenticate")
	body, err := t.body(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	t.said = append(t.said, fmt.Sprintf("%s %s %d", r.Method, r.URL.Path, response.StatusCode))
	t.count++
	return response, nil
}

func (t *conversation) header(h http.Header, name string) {
	if value := h.Get(name); value != "" {
		t.line(name + ": " + strings.ReplaceAll(value, `", `, "\",\n"+strings.Repeat(" ", len(name)+2)))
	}
}

// body prints what somebody sends, and returns it. A large JSON object has a line
// for each member.
func (t *conversation) body(from io.ReadCloser) ([]byte, error) {
	defer from.Close()
	body, err := io.ReadAll(from)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if len(body) > width && json.Unmarshal(body, &members) == nil {
		for _, name := range slices.Sorted(maps.Keys(members)) {
			t.line(name + ": " + string(members[name]))
		}
		return body, nil
	}
	if text := strings.TrimSpace(string(body)); text != "" {
		t.line(text)
	}
	return body, nil
}

// width is how many characters a line may have.
const width = 120

// secrets is what a token or a password looks like, but for its beginning.
var secrets = regexp.MustCompile(`(eyJ[\w-]{10}|Basic )[\w.=+/-]+`)

func (t *conversation) line(text string) {
	for line := range strings.Lines(secrets.ReplaceAllString(text, "$1…")) {
		line = strings.TrimRight(line, "\n")
		if runes := []rune(line); len(runes) > width {
			line = string(runes[:width-1]) + "…"
		}
		fmt.Fprintf(t.out, "     %s\n", line)
	}
}
