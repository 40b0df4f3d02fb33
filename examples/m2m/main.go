// Command m2m shows two services, one of which calls the other as itself: it gets
// access tokens by the client credentials grant (RFC 6749 §4.4), and renews them.
//
//	go run ./examples/m2m
//
// It starts a fake authorization server and the service that is called, on loopback
// ports, prints what happens when all is well and when it is not, and ends.
//
// reports.go is the service that is called, caller.go the client of the one that calls;
// acts.go is what happens.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/signal"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const audience = "https://example.com/reports-api"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "m2m:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stdout io.Writer) error {
	issuer, err := authtest.Start("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer issuer.Close()
	issuer.AddClient("nightly", "nightly-secret", audience, "read:reports", "write:reports")
	issuer.AddClient("viewer", "viewer-secret", audience, "read:reports")

	validator, err := claims.NewValidator(claims.Config{Issuer: issuer.URL(), Audience: audience})
	if err != nil {
		return err
	}
	var log bytes.Buffer // written before the answer is sent, and read after
	server := httptest.NewServer(newReports(validator, &log))
	defer server.Close()
	to, err := url.Parse(server.URL)
	if err != nil {
		return err
	}
	as := func(id, secret, audience string) *http.Client {
		return newCaller(&clientcredentials.Config{
			ClientID: id, ClientSecret: secret, TokenURL: issuer.TokenURL(),
			EndpointParams: url.Values{"audience": {audience}}, // Auth0's; resource with RFC 8707
			AuthStyle:      oauth2.AuthStyleInHeader,           // else it tries both at first
		}, to, http.DefaultTransport)
	}
	s := stage{issuer: issuer, server: server.URL, log: &log, as: as}
	fmt.Fprintf(stdout, "issuer   %s\nreports  %s/reports, for machines with the scope write:reports\n", issuer.URL(), server.URL)
	for _, act := range s.acts() {
		if err := s.play(ctx, act, stdout); err != nil {
			return err
		}
	}
	return nil
}
