// Command roles shows what an API does with claims of one's own: roles and an
// organization, read into a struct, in a check that refuses a token (401) and in a
// requirement that refuses a request (403).
//
//	go run ./examples/roles
//
// It starts a fake authorization server and the API on loopback ports, prints how each
// token is answered and why, and ends. api.go is the API.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
)

const audience = "https://example.com/charts-api"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "roles:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stdout io.Writer) error {
	issuer, err := authtest.Start("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer issuer.Close()
	validator, err := claims.NewValidator(claims.Config{
		Issuer:   issuer.URL(),
		Audience: audience,
		Check:    check(map[string]bool{"org-2": true}),
	})
	if err != nil {
		return err
	}
	reasons := make(chan string, 1) // why the request was refused, "-" where it was not
	server := httptest.NewServer(newAPI(validator, middleware.WithObserver(func(_ context.Context, d middleware.Decision) { reasons <- reason(d) })))
	defer server.Close()

	fmt.Fprintf(stdout, "issuer  %s\nAPI     %s/orgs/org-1/charts, for doctors and nurses of org-1 with read:charts\n\n", issuer.URL(), server.URL)
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TOKEN\tSTATUS\tREASON IN THE LOG")
	for _, a := range acts {
		token := issuer.Token(append([]authtest.TokenOption{authtest.Audience(audience), read, org("org-1")}, a.token...)...)
		if a.idToken {
			token = issuer.IDToken(append([]authtest.TokenOption{authtest.Audience(audience), org("org-1")}, a.token...)...)
		}
		status, err := get(ctx, server.URL+"/orgs/org-1/charts", token)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%d\t%s\n", a.sent, status, <-reasons)
		if status != a.want {
			_ = table.Flush()
			return fmt.Errorf("%s: answered %d, and should be %d", a.sent, status, a.want)
		}
	}
	return table.Flush()
}

// reason returns what a log would say, without what is the same for all.
func reason(d middleware.Decision) string {
	if d.Refusal == nil {
		return "-"
	}
	text := d.Refusal.Err.Error()
	for _, prefix := range []string{"middleware: ", "a requirement refuses the request: ", claims.ErrRefused.Error() + ": ", "claims: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

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
