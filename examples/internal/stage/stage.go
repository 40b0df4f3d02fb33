// Package stage is what the programs have in common that show something and end: a fake
// authorization server, an API on a port, and a table of what was sent and how it was
// answered. A program of yours needs nothing of it.
package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
)

// A Stage is where a program plays.
type Stage struct {
	Issuer *authtest.Issuer // on a loopback port
	URL    string           // of the API, after Open
	Out    io.Writer        // where to print

	server *httptest.Server

	mu       sync.Mutex
	refusals []string
}

// Main plays a program until it is over or Ctrl-C is pressed. Where it returns an
// error, that is printed and the exit status is 1.
func Main(name string, play func(context.Context, *Stage) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C kills, whatever hangs
	if err := Run(ctx, os.Stdout, play); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Run is what [Main] does, for a test of a program. It leaves nothing running.
func Run(ctx context.Context, out io.Writer, play func(context.Context, *Stage) error) error {
	issuer, err := authtest.Start("127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &Stage{Issuer: issuer, Out: out}
	defer func() {
		issuer.Close()
		if s.server != nil {
			s.server.Close()
		}
	}()
	return play(ctx, s)
}

// Open opens the API on a loopback port. From then on, the stage hears of each request
// that a guard of the API refuses.
func (s *Stage) Open(api http.Handler) {
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.ServeHTTP(w, r.WithContext(middleware.ContextWithObserver(r.Context(), s.hear)))
	}))
	s.URL = s.server.URL
}

func (s *Stage) hear(_ context.Context, d middleware.Decision) {
	if d.Refusal == nil {
		return
	}
	reason := d.Refusal.Err.Error()
	for _, said := range []string{middleware.ErrUnavailable.Error() + ": ", "middleware: ", "a requirement refuses the request: ", claims.ErrRefused.Error() + ": ", "claims: ", "userinfo: "} {
		reason = strings.TrimPrefix(reason, said)
	}
	reason, _, _ = strings.Cut(reason, `: "`) // what was found instead makes long lines
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals = append(s.refusals, fmt.Sprint(d.Refusal.Status, " ", reason))
}

// Refusals returns what a log of the API would have of the requests that were refused
// since the last call: status and reason.
func (s *Stage) Refusals() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.refusals
	s.refusals = nil
	return all
}

// An Answer is what the API answers.
type Answer struct {
	Status int
	Header http.Header
	Says   string // the body, or why the request was refused, which no client is told
}

// Send sends a token to a path of the API.
func (s *Stage) Send(ctx context.Context, path, token string) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	s.Refusals()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	says := strings.TrimSpace(string(body))
	if refusals := s.Refusals(); len(refusals) > 0 {
		_, says, _ = strings.Cut(refusals[0], " ")
	}
	return Answer{response.StatusCode, response.Header, says}, err
}

// A Table shows how the API answers tokens. What goes wrong ends it: [Table.End] tells.
type Table struct {
	stage    *Stage
	paths    []string
	counters []func() int
	columns  []string
	rows     [][]string
	err      error
}

// Table begins a table of tokens that are sent to these paths.
func (s *Stage) Table(paths ...string) *Table {
	return &Table{stage: s, paths: paths, columns: append([]string{"TOKEN"}, paths...)}
}

// Count adds a column with what a row adds to a number.
func (t *Table) Count(name string, now func() int) {
	t.columns = append(t.columns, name)
	t.counters = append(t.counters, now)
}

// Send sends a token to each of the paths. It is an error if the statuses of the answers,
// and what is counted, are others than wanted, or what is printed would prove nothing.
func (t *Table) Send(ctx context.Context, what, token string, want ...int) {
	if t.err != nil {
		return
	}
	var got []int
	var says []string
	before := make([]int, len(t.counters))
	for n, now := range t.counters {
		before[n] = now()
	}
	for _, path := range t.paths {
		answer, err := t.stage.Send(ctx, path, token)
		if err != nil {
			t.err = err
			return
		}
		got = append(got, answer.Status)
		if wait := answer.Header.Get("Retry-After"); wait != "" {
			answer.Says += " (Retry-After: " + wait + ")"
		}
		if !slices.Contains(says, answer.Says) {
			says = append(says, answer.Says)
		}
	}
	for n, now := range t.counters {
		got = append(got, now()-before[n])
	}
	row := []string{what}
	for _, number := range got {
		row = append(row, strconv.Itoa(number))
	}
	t.rows = append(t.rows, append(row, strings.Join(says, "; ")))
	if !slices.Equal(got, want) {
		t.err = fmt.Errorf("%s: it is %v, and should be %v", what, got, want)
	}
}

// End prints the table, as far as it went.
func (t *Table) End() error {
	lines := tabwriter.NewWriter(t.stage.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(lines, "%s\tANSWER, OR WHY NOT\n", strings.Join(t.columns, "\t"))
	for _, row := range t.rows {
		fmt.Fprintln(lines, strings.Join(row, "\t"))
	}
	return errors.Join(t.err, lines.Flush())
}
