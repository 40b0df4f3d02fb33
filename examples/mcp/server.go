package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
)

// protocolVersion is the revision of the Model Context Protocol that both sides
// speak here. Later ones do without initialize; a client is refused, and finds its
// way, in the same manner.
const protocolVersion = "2025-11-25"

// newServer returns an MCP server with two tools for notes. The audience of the
// validator is the URL of the endpoint, which clients call it by.
func newServer(validator *claims.Validator) http.Handler {
	// Challenges name the metadata, and the metadata name the issuer of the
	// validator: that is all that a client needs to find its way.
	guard := middleware.New(validator, middleware.WithResourceMetadata(middleware.ResourceMetadata{Name: "Notes"}))

	// All tools share one route, so each has a guard of its own within it. It names
	// all scopes that a call needs, also the one of the route: the client asks for
	// the scopes of the challenge, and a token with notes:write alone would not come
	// this far.
	notes := &notes{of: map[string][]string{}}
	e := &endpoint{tools: []tool{{
		Name:        "list_notes",
		Description: "Lists your notes.",
		InputSchema: json.RawMessage(`{"type":"object","additionalProperties":false}`),
		handler:     guard.RequireScope("notes:read")(toolHandler(notes.list)),
	}, {
		Name:        "add_note",
		Description: "Adds a note to yours.",
		InputSchema: json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`),
		handler:     guard.RequireScope("notes:read", "notes:write")(toolHandler(notes.add)),
	}}}

	mux := http.NewServeMux()
	mux.Handle(guard.ResourceMetadata()) // open to everyone
	mux.Handle("POST /mcp", refuseBrowsers(guard.RequireScope("notes:read")(http.MaxBytesHandler(e, 64<<10))))
	return mux
}

// refuseBrowsers refuses what a page in a browser sends: the protocol wants the
// Origin checked, and this server has no pages.
func refuseBrowsers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" {
			http.Error(w, "requests of web pages are not answered", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// An endpoint takes the messages of clients. It has no sessions and no streams: an
// answer is one JSON object.
type endpoint struct{ tools []tool }

// A tool is what a client can call, and how it is described to it.
type tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"inputSchema"`
	handler     http.Handler    // behind its guard; it finds the call in the context
}

// A request is a message of a client in JSON-RPC 2.0.
type request struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"` // none: a notification
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params,omitempty"`
}

// An answer is what a request gets.
type answer struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Result  any             `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// The codes of JSON-RPC 2.0 §5.1.
const (
	codeParseError     = -32700
	codeInvalidRequest = -32600
	codeMethodNotFound = -32601
	codeInvalidParams  = -32602
)

// ServeHTTP implements [http.Handler].
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the message is too large, or not all of it has come", http.StatusBadRequest)
		return
	}
	var asked request
	err = json.Unmarshal(body, &asked)
	switch version := r.Header.Get("MCP-Protocol-Version"); {
	case version != "" && version != protocolVersion:
		write(w, http.StatusBadRequest, failure(nil, codeInvalidRequest, "this server speaks "+protocolVersion))
	case !json.Valid(body):
		write(w, http.StatusBadRequest, failure(nil, codeParseError, "the message is not JSON"))
	case err != nil || asked.Version != "2.0" || asked.Method == "" || string(asked.ID) == "null":
		write(w, http.StatusBadRequest, failure(nil, codeInvalidRequest, "this is no request of JSON-RPC 2.0"))
	case asked.ID == nil:
		w.WriteHeader(http.StatusAccepted) // a notification has no answer
	default:
		e.answer(w, r, asked)
	}
}

func (e *endpoint) answer(w http.ResponseWriter, r *http.Request, asked request) {
	switch asked.Method {
	case "initialize":
		write(w, http.StatusOK, success(asked.ID, map[string]any{
			"protocolVersion": protocolVersion,
			"capabilities":    map[string]any{"tools": map[string]any{}},
			"serverInfo":      map[string]string{"name": "notes", "version": "1.0.0"},
		}))
	case "ping":
		write(w, http.StatusOK, success(asked.ID, map[string]any{}))
	case "tools/list":
		write(w, http.StatusOK, success(asked.ID, map[string]any{"tools": e.tools}))
	case "tools/call":
		var called call
		err := json.Unmarshal(asked.Params, &called)
		i := slices.IndexFunc(e.tools, func(t tool) bool { return t.Name == called.Name })
		if err != nil || i < 0 {
			write(w, http.StatusOK, failure(asked.ID, codeInvalidParams, "there is no such tool"))
			return
		}
		called.id = asked.ID
		e.tools[i].handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callKey{}, called)))
	default:
		write(w, http.StatusOK, failure(asked.ID, codeMethodNotFound, "there is no such method"))
	}
}

// A call is what a client asks of a tool.
type call struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
	id        json.RawMessage
}

type callKey struct{}

// toolHandler returns a handler that answers the call in the request's context. An
// error of run is for the model that uses the tool, to do better.
func toolHandler(run func(c *claims.Claims, arguments json.RawMessage) (string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called := r.Context().Value(callKey{}).(call)
		c, _ := claims.FromContext(r.Context()) // always there behind a guard
		text, err := run(c, called.Arguments)
		if err != nil {
			text = err.Error()
		}
		write(w, http.StatusOK, success(called.id, map[string]any{
			"content": []any{map[string]string{"type": "text", "text": text}},
			"isError": err != nil,
		}))
	})
}

func success(id json.RawMessage, result any) answer {
	return answer{Version: "2.0", ID: id, Result: result}
}

func failure(id json.RawMessage, code int, message string) answer {
	return answer{Version: "2.0", ID: id, Error: &rpcError{code, message}}
}

func write(w http.ResponseWriter, status int, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // an error means that the client is gone
}

// notes are kept by the subject of the token.
type notes struct {
	mu sync.Mutex
	of map[string][]string
}

func (n *notes) list(c *claims.Claims, _ json.RawMessage) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprintf("%s has noted %q", c.Subject, n.of[c.Subject]), nil
}

func (n *notes) add(c *claims.Claims, arguments json.RawMessage) (string, error) {
	var note struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(arguments, &note); err != nil || note.Text == "" {
		return "", errors.New("a note needs a text")
	}
	n.mu.Lock()
	n.of[c.Subject] = append(n.of[c.Subject], note.Text)
	n.mu.Unlock()
	return n.list(c, nil)
}
