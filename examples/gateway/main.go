// Command gateway shows two APIs in one process, with one issuer and an audience each:
// a token for one is refused by the other, and a token for both opens both.
//
//	go run ./examples/gateway
//
// It starts a fake authorization server and the APIs on loopback ports, sends each
// token to both APIs, prints how they answer, and ends. apis.go is the APIs.
package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"regexp"
	"text/tabwriter"

	"github.com/bearerguard/bearerguard/authtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stdout io.Writer) error {
	issuer, err := authtest.Start("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer issuer.Close()
	ofHealth, ofBilling, err := newValidators(issuer.URL(), nil)
	if err != nil {
		return err
	}
	var log bytes.Buffer // of one request, written before it is answered
	server := httptest.NewServer(newGateway(ofHealth, ofBilling, &log))
	defer server.Close()

	fmt.Fprintf(stdout, "issuer   %s\nhealth   %s/health/patients, %s, needs read:patients\nbilling  %s/billing/bills, %s, needs read:bills\n\n",
		issuer.URL(), server.URL, health, server.URL, billing)
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TOKEN\tHEALTH\tBILLING\tWHY NOT")
	for _, a := range acts(issuer) {
		var status [2]int
		why := ""
		for n, path := range []string{"/health/patients", "/billing/bills"} {
			log.Reset()
			if status[n], err = get(ctx, server.URL+path, a.token); err != nil {
				return err
			}
			if match := reason.FindSubmatch(log.Bytes()); match != nil {
				why = string(match[1])
			}
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", a.sent, status[0], status[1], cmp.Or(why, "-"))
		if status != a.want {
			_ = table.Flush()
			return fmt.Errorf("%s: answered %v, and should be %v", a.sent, status, a.want)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprint(stdout, "\nIn a token for both, nothing says which scope is whose: it holds at both. So let two\nAPIs of one issuer never mean different things by one word.\n")
	return nil
}

// An act is a token, and how the two APIs should answer.
type act struct {
	sent  string
	token string
	want  [2]int
}

func acts(issuer *authtest.Issuer) []act {
	aud, scope := authtest.Audience, authtest.Scope
	return []act{
		{"for health, read:patients", issuer.Token(aud(health), scope("read:patients")), [2]int{200, 401}},
		{"for billing, read:bills", issuer.Token(aud(billing), scope("read:bills")), [2]int{401, 200}},
		{"for health, with both scopes", issuer.Token(aud(health), scope("read:patients", "read:bills")), [2]int{200, 401}},
		{"for both, with both scopes", issuer.Token(aud(health, billing), scope("read:patients", "read:bills")), [2]int{200, 200}},
		{"for both, read:patients", issuer.Token(aud(health, billing), scope("read:patients")), [2]int{200, 403}},
		{"for health with a slash more", issuer.Token(aud(health+"/"), scope("read:patients")), [2]int{401, 401}},
		{"ID Token", issuer.IDToken(), [2]int{401, 401}},
		{"ID Token whose aud has both", issuer.IDToken(aud(authtest.DefaultClientID, health, billing)), [2]int{401, 401}},
	}
}

var reason = regexp.MustCompile(`reason="?\w+: ([^:"]+)`)

func get(ctx context.Context, url, token string) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
