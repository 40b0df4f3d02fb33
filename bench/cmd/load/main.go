// The load command sends requests over real sockets of this machine: to a handler
// without a guard, behind the guard, and behind a peer. It prints how many are
// answered, and how long the honest ones take.
//
//	go run ./bench/cmd/load
//	go run ./bench/cmd/load -rounds 5 -time 10s -connections 64 -bad 10
//
// Each connection is kept alive and sends one request after the other. Some of a
// thousand clients are honest: each has a token and uses it again and again. The
// others, bad per cent of the requests, send garbage or a good token's body with a
// key ID that nobody has. Server and clients share the machine, so figures compare
// within one run only.
package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/bearerguard/bearerguard/bench"
	"github.com/bearerguard/bearerguard/bench/internal/results"
)

var (
	rounds      = flag.Int("rounds", 3, "how often each server is loaded")
	duration    = flag.Duration("time", 5*time.Second, "how long each time")
	connections = flag.Int("connections", 64, "how many connections are kept alive")
	bad         = flag.Int("bad", 10, "how many of a hundred requests have a bad token")
	peerName    = flag.String("peer", bench.Peers[0].Name, "the peer to compare with")
)

// noGuard is the name of the server that lets all requests through.
const noGuard = "no guard"

func main() {
	log.SetFlags(0)
	flag.Parse()
	at := slices.IndexFunc(bench.Peers, func(p bench.Peer) bool { return p.Name == *peerName })
	if at < 0 {
		log.Fatalf("there is no peer %q", *peerName)
	}
	servers := []bench.Peer{
		{Name: noGuard, Protect: func(_ context.Context, _ *bench.Scene, next http.Handler) (http.Handler, error) { return next, nil }},
		{Name: "bearerguard", Protect: bench.Protect},
		bench.Peers[at],
	}
	s := bench.NewScene()
	load := newTraffic(s)
	measured := make([][]outcome, len(servers))
	for range *rounds {
		for i, server := range servers {
			o, err := measure(s, server, load)
			if err != nil {
				log.Fatalf("%s: %v", server.Name, err)
			}
			measured[i] = append(measured[i], o)
		}
	}

	table := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprint(table, "| server\t| requests/s\t| p50\t| p90\t| p99\t| p99.9\t| bad tokens\t|\n|---\t|---:\t|---:\t|---:\t|---:\t|---:\t|---:\t|\n")
	for i, server := range servers {
		median := func(of func(outcome) float64) float64 {
			var values []float64
			for _, o := range measured[i] {
				values = append(values, of(o))
			}
			return results.Quantile(values, 0.5)
		}
		fmt.Fprintf(table, "| %s\t| %.0f", server.Name, median(outcome.rate))
		for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
			fmt.Fprintf(table, "\t| %.2f ms", median(func(o outcome) float64 { return results.Quantile(o.honest, q) }))
		}
		fmt.Fprintf(table, "\t| %.1f %%\t|\n", median(func(o outcome) float64 { return 100 * float64(o.bad) / float64(o.all()) }))
	}
	table.Flush()
	fmt.Printf("medians of %d rounds of %v, %d connections, %d %% bad tokens, %s\n",
		*rounds, *duration, *connections, *bad, time.Now().UTC().Format(time.DateOnly))
}

// traffic has whole requests, ready to be sent.
type traffic struct{ honest, garbage, unknownKey [][]byte }

func newTraffic(s *bench.Scene) traffic {
	const clients, strangers = 1000, 1000
	var t traffic
	for _, credential := range s.Credentials(clients) {
		t.honest = append(t.honest, request(credential))
	}
	for i := range strangers {
		t.garbage = append(t.garbage, request(fmt.Sprintf("Bearer %x.%x.%x", rand.Uint64(), rand.Uint64(), i)))
		t.unknownKey = append(t.unknownKey, request("Bearer "+s.Token(bench.SetHeader("kid", fmt.Sprintf("nobodys-%d", rand.Uint64())))))
	}
	return t
}

func request(credential string) []byte {
	return fmt.Appendf(nil, "GET /patients HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n\r\n", credential)
}

// next returns a request, and whether it is to be let through.
func (t traffic) next() (request []byte, honest bool) {
	from := t.honest
	if rand.IntN(100) < *bad {
		from = [][][]byte{t.garbage, t.unknownKey}[rand.IntN(2)]
		return from[rand.IntN(len(from))], false
	}
	return from[rand.IntN(len(from))], true
}

// An outcome is what was measured on one server once, in milliseconds.
type outcome struct {
	honest []float64
	bad    int // how many others there were
	took   time.Duration
}

func (o outcome) all() int      { return len(o.honest) + o.bad }
func (o outcome) rate() float64 { return float64(o.all()) / o.took.Seconds() }

// measure loads a server of its own, on this machine.
func measure(s *bench.Scene, peer bench.Peer, load traffic) (outcome, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	body := []byte("[]")
	handler, err := peer.Protect(ctx, s, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(body) }))
	if err != nil {
		return outcome{}, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return outcome{}, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener) // ends with Close
	defer server.Close()

	// Without a guard, all are let through.
	checked := peer.Name != noGuard
	outcomes, errs := make([]outcome, *connections), make([]error, *connections)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range *connections {
		wg.Go(func() { outcomes[i], errs[i] = converse(listener.Addr(), load, began.Add(*duration), checked) })
	}
	wg.Wait()
	total := outcome{took: time.Since(began)}
	for i, o := range outcomes {
		if errs[i] != nil {
			return outcome{}, errs[i]
		}
		total.honest = append(total.honest, o.honest...)
		total.bad += o.bad
	}
	return total, nil
}

// converse sends requests on one connection until the end.
func converse(server net.Addr, load traffic, end time.Time, checked bool) (outcome, error) {
	conn, err := net.Dial(server.Network(), server.String())
	if err != nil {
		return outcome{}, err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	var o outcome
	for time.Now().Before(end) {
		request, honest := load.next()
		sent := time.Now()
		if _, err := conn.Write(request); err != nil {
			return outcome{}, err
		}
		status, err := readAnswer(answers)
		switch {
		case err != nil:
			return outcome{}, err
		case honest != (status == http.StatusOK) && checked:
			return outcome{}, fmt.Errorf("status %d for a token that is good: %t", status, honest)
		case status == http.StatusOK && honest:
			o.honest = append(o.honest, float64(time.Since(sent))/float64(time.Millisecond))
		default:
			o.bad++
		}
	}
	return o, nil
}

// readAnswer reads an answer and returns its status. It takes next to no time, so
// that what is measured is the server.
func readAnswer(r *bufio.Reader) (status int, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return 0, fmt.Errorf("an odd status line: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, err
	}
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) == len("\r\n") {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
	_, err = io.CopyN(io.Discard, r, int64(length))
	return status, err
}
