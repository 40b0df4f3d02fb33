// Command quickstart shows what bearerguard does, in one command:
//
//	go run ./examples/quickstart
//
// It starts a fake authorization server and a small API on loopback ports, sends
// real HTTP requests to the API and prints how each was answered and why. Then
// it prints curl lines to try, and serves until Ctrl-C. The tokens for them are in
// files of this user, which go with the program.
//
// With -once it ends after the table, with status 1 if a row is not what it
// should be. With -issuer and -audience it guards the API for a real tenant:
//
//	go run ./examples/quickstart -issuer https://my-domain.auth0.com/ -audience https://example.com/health-api
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	addr     string
	issuer   string
	audience string
	once     bool
}

func parse(args []string, stdout io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:0", "`host:port` of the API; port 0 is any free one")
	flags.StringVar(&o.issuer, "issuer", "", "issuer `URL` of a real tenant, as in the iss of its tokens (default: a fake issuer)")
	flags.StringVar(&o.audience, "audience", "", "`identifier` of the API, as in the aud of its access tokens (default, with the fake issuer: https://example.com/health-api)")
	flags.BoolVar(&o.once, "once", false, "end after the table; status 1 if a row is not what it should be")
	flags.SetOutput(io.Discard) // a mistake is one line, below
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "usage: go run ./examples/quickstart [flags]")
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return o, err
	case err != nil:
		return o, fmt.Errorf("%w (-h tells of the flags)", err)
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag (-h tells of the flags)", flags.Arg(0))
	case o.issuer != "" && o.audience == "":
		return o, errors.New("-issuer needs -audience: the identifier of your API, as in the aud of its access tokens")
	case o.audience == "":
		o.audience = "https://example.com/health-api"
	}
	return o, nil
}

// run is the program: it returns when everything that it started has ended.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	// The stranger is another authorization server, whose tokens must open
	// nothing.
	stranger, err := authtest.Start("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer stranger.Close()

	s := scene{issuer: o.issuer, audience: o.audience, stranger: stranger}
	if o.issuer == "" {
		s.own, err = authtest.Start("127.0.0.1:0")
		if err != nil {
			return err
		}
		defer s.own.Close()
		s.own.AddClient("reporter", "reporter-secret", o.audience, "read:patients")
		s.issuer = s.own.URL()
	}

	validator, err := claims.NewValidator(claims.Config{Issuer: s.issuer, Audience: o.audience})
	if err != nil {
		return err
	}
	warming, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := validator.Warm(warming); err != nil {
		return err
	}

	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return fmt.Errorf("the API cannot listen: %w (-addr takes another host:port)", err)
	}
	s.api = "http://" + listener.Addr().String()
	server := &http.Server{Handler: newAPI(validator, &s.log), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer server.Close()

	fmt.Fprintf(stdout, "issuer    %s\naudience  %s\nAPI       %s/patients, which needs the scope read:patients\n\n", s.issuer, s.audience, s.api)
	if err := s.play(ctx, stdout); err != nil {
		return err
	}
	if o.once {
		return nil
	}
	directory, err := os.MkdirTemp("", "quickstart-") // this user's alone
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	if err := s.invite(stdout, directory); err != nil {
		return err
	}
	s.log.follow(stdout)

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(stdout, "\nstopping")
	ending, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(ending)
}
