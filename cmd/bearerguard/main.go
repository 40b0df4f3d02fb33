// Command bearerguard says why an API answers 401, what is wrong with its
// configuration, and is a fake issuer to develop with.
//
//	go install github.com/bearerguard/bearerguard/cmd/bearerguard@latest
//
// It is the library at the shell: what it says of a token or an issuer is found
// out by the very code that guards an API.
//
// # Why is a token refused?
//
//	bearerguard explain -issuer https://my-domain.auth0.com/ -audience https://example.com/health-api -scope read:patients <token.txt
//
// runs every check, in order, and says of each how it went and what it found; then
// what the API answers, and what the mistake most likely is:
//
//	time       FAILED       the token has expired: 3 h 12 min ago, at 2026-11-22T12:40:01Z; this
//	                        machine's clock is 2 s behind the issuer's
//	                        → the client must get a new token; if it has, look at the clocks
//
// The token comes on standard input, or from a file with -file. It is never an
// argument, which would stay in the shell's history and in the list of processes;
// one that is given so is refused. White space around it, quotes, "Authorization:"
// and "Bearer" are taken off, and it is found in the JSON that a token endpoint
// answers.
//
// Header and claims are shown, since whoever asks has them; -no-claims leaves them
// out, for a report to others, and only what the checks say remains, such as the
// audience. The signature and the token as a whole are never
// shown. All that comes from a token or from the network is shown with its control
// characters escaped, and cut where it is long.
//
// The flags are the fields of claims.Config; give those that your API has. Where it
// trusts several issuers, these are the fields of the one that the token should be
// from. With -jwks, the keys come from a file, and nobody is asked.
//
// # Is the configuration right?
//
//	bearerguard doctor -issuer https://my-domain.auth0.com/ -audience https://example.com/health-api
//
// asks the issuer what an API would ask it, without a token: discovery, whether
// the issuer is called exactly so, the key set and how fast it came, each key and
// what it is good for or why it is left out, TLS, redirects, caches, this machine's
// clock against the issuer's Date, and an audience that looks like a mistake.
//
// # What is said of a check, and of all
//
// Of a check, explain and doctor say
//
//	ok           all is well
//	note         worth knowing
//	warning      odd, and most often a mistake
//	FAILED       for this the token is refused; no API with this configuration works
//	not reached  because of what failed before
//
// and of all together, at the end,
//
//	ACCEPTED   the API lets the token in
//	REFUSED    it does not, and Why tells what the first check says that failed
//	UNDECIDED  the token cannot be checked now
//	OK         an API with this configuration can check tokens
//	NOT OK     it cannot
//
// # A fake issuer
//
//	bearerguard issuer
//
// is an authorization server for local development, in any language: discovery,
// key set, /oauth/token for client credentials, /userinfo, which tells what the
// scopes of the token ask for. It prints its addresses and lines for curl, and
// serves until Ctrl-C, on 127.0.0.1:8765 or where -addr says. Its key and its client
// secret are new in each run.
//
// Beside what an authorization server has, GET /dev/access-token and
// /dev/id-token answer with a token of a user alone, to whoever has the client's
// secret (curl -u). The query may have
//
//	sub, aud, scope, client_id, iss, acr  the claim of that name, a text
//	expires_in                            seconds from now; negative: it has expired
//	auth_time                             seconds from now where it is 0 or negative,
//	                                      such as -60; since 1970 otherwise
//	claim.NAME                            any claim: JSON where it is JSON, such as
//	                                      7, true or ["a"], and else a text; "7" in
//	                                      quotes is the text
//
// It listens on this machine only, unless -insecure-listen-anywhere is given, and
// answers only requests whose Host is this machine (or that of -url), since a web
// page can have a name of its own point to 127.0.0.1. Pages of other origins are
// refused, unless -cors-origin names them.
//
// # For scripts
//
// With -json, each subcommand prints JSON: the same facts, and never the token. In
// that of explain and doctor, result is the word for all, and result in each of
// checks is that of the check, both as above in small letters; reason and hint are
// what Why and Likely tell.
//
// The exit status is
//
//	0  the API lets the token in; no check failed; the issuer was stopped
//	1  the token is refused; a check failed
//	2  nothing can be said: called wrongly, or the work could not be done, such as
//	   explain without the issuer's keys
//
// Colours are for terminals, and are left out where NO_COLOR is set. Proxies are
// those of HTTPS_PROXY and NO_PROXY; SSL_CERT_FILE names a file with further
// certificate authorities.
package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/bearerguard/bearerguard/cmd/bearerguard/internal/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first Ctrl-C asks the program to end; what is second has lost patience,
	// and is the system's to obey, whatever hangs.
	context.AfterFunc(ctx, stop)
	program := command.Program{
		Name:             calledAs(os.Args[0]),
		Args:             os.Args[1:],
		Stdin:            os.Stdin,
		Stdout:           os.Stdout,
		Stderr:           os.Stderr,
		Getenv:           os.Getenv,
		StdinIsTerminal:  isTerminal(os.Stdin),
		StdoutIsTerminal: isTerminal(os.Stdout),
	}
	status := program.Run(ctx)
	stop()
	os.Exit(status)
}

// calledAs returns what has called the program, for lines that are to be pasted.
// go run puts it into the build cache, from where it may vanish.
func calledAs(path string) string {
	info, ok := debug.ReadBuildInfo()
	switch inCache := strings.Contains(filepath.ToSlash(path), "/go-build"); {
	case inCache && ok && info.Main.Sum != "": // of the module proxy, in no clone
		return "go run " + info.Path + "@" + info.Main.Version
	case inCache && ok:
		return "go run " + info.Path
	case strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("'\"$`&;|<>()*?!#~", r) }):
		return "bearerguard" // what a shell would have to be told in quotes
	}
	return path
}

// isTerminal reports whether there is likely a person at the other end.
func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
