package adaptertest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

// A side is one of the two that are compared: a server on a port of this machine,
// so that what is compared is what goes over the wire.
type side struct {
	url    string
	client *http.Client

	mu        sync.Mutex
	decisions []decision // of the guards, since the last request
}

// start serves the table's routes. Each side has guards of its own.
func start[M any](t *testing.T, issuer *authtest.Issuer, words Words[M], build func([]Route[M]) http.Handler) *side {
	s := &side{}
	var routes []Route[M]
	for _, planned := range plan(issuer, middleware.WithObserver(s.observe)) {
		for method := range strings.FieldsSeq(planned.methods) {
			route := Route[M]{Method: method, Pattern: planned.pattern, Handler: planned.handler}
			for _, guarding := range planned.guards {
				route.Guards = append(route.Guards, words.of(guarding))
			}
			routes = append(routes, route)
		}
	}
	server := httptest.NewServer(build(routes))
	t.Cleanup(server.Close)
	s.url = server.URL
	transport := &http.Transport{
		DisableCompression: true,
		// A request that asks first (Expect: 100-continue) waits for its answer.
		ExpectContinueTimeout: time.Minute,
	}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// A reply is what came back for a request, and what the guards decided about it.
type reply struct {
	Status           int
	Header           http.Header // without Date
	ContentLength    int64
	TransferEncoding []string
	Body             string // of a large one, its length and hash
	Trailer          http.Header
	Decisions        []decision
}

func (s *side) send(t *testing.T, method, path string, with []edit) reply {
	t.Helper()
	s.mu.Lock()
	s.decisions = nil
	s.mu.Unlock()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
	require.NoError(t, err)
	for _, edit := range with {
		edit(request)
	}
	response, err := s.client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	text := string(body)
	if len(text) > 4<<10 {
		text = fmt.Sprintf("%d bytes, %x", len(body), sha256.Sum256(body))
	}
	require.NotEmpty(t, response.Header.Get("Date"))
	response.Header.Del("Date")
	s.mu.Lock() // the guards have decided before they let anything be written
	defer s.mu.Unlock()
	return reply{
		Status:           response.StatusCode,
		Header:           response.Header,
		ContentLength:    response.ContentLength,
		TransferEncoding: response.TransferEncoding,
		Body:             text,
		Trailer:          response.Trailer,
		Decisions:        s.decisions,
	}
}

// A decision is a middleware.Decision without what differs from run to run.
type decision struct {
	Outcome                      middleware.Outcome
	Method, Pattern, Policy      string
	Requirement                  string
	Issuer, ClientID, KeyID, Sub string
	FromMemory                   bool
	Reason                       string
	Status                       int // of the refusal
}

func (s *side) observe(_ context.Context, d middleware.Decision) {
	told := decision{
		Outcome:     d.Outcome,
		Method:      d.Method,
		Pattern:     spelled(d.Pattern),
		Policy:      d.Policy.String(),
		Requirement: d.Requirement,
		Issuer:      d.Issuer,
		ClientID:    d.ClientID,
		KeyID:       d.KeyID,
		FromMemory:  d.FromMemory,
	}
	if c, ok := d.Claims(); ok {
		told.Sub = c.Subject
	}
	if d.Refusal != nil {
		told.Reason, told.Status = d.Reason.Error(), d.Refusal.Status
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decisions = append(s.decisions, told)
}

var ginParameter = regexp.MustCompile(`:(\w+)`)

// spelled returns a pattern as chi spells it: net/http puts the method before it,
// and gin writes :id for {id}.
func spelled(pattern string) string {
	if _, path, found := strings.Cut(pattern, " "); found {
		pattern = path
	}
	return ginParameter.ReplaceAllString(pattern, "{$1}")
}
