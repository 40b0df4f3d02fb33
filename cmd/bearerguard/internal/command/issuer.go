package command

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/bearerguard/bearerguard/internal/fakeissuer"
	"github.com/bearerguard/bearerguard/scope"
)

var issuerManual = manual{
	usage: "issuer [-addr HOST:PORT] [-audience ID] [flags]",
	about: `Issuer is a fake authorization server for local development, in any language: it
has discovery, a key set, a token endpoint and userinfo, signs real tokens with a
key of its own, and serves until Ctrl-C. Key and client secret are new in each run.

It listens on this machine only, and answers only requests that name this machine
as their host, so that no web page can have tokens.
`,
	examples: `  bearerguard issuer
  bearerguard issuer -audience https://example.com/health-api -scope "read:patients write:patients"
  bearerguard issuer -addr 127.0.0.1:0 -json              # any free port, for scripts
  bearerguard issuer -cors-origin http://localhost:3000   # for an app in a browser
  bearerguard issuer -insecure-listen-anywhere -addr 0.0.0.0:8765 -url http://host.docker.internal:8765/

exit status: 0 it was stopped, 2 it could not serve
`,
}

const (
	defaultAddr     = "127.0.0.1:8765"
	defaultAudience = "https://example.com/health-api"
	defaultScope    = "read:patients write:patients"
	clientID        = "local"
)

// A server is one run of issuer.
type server struct {
	addr     string
	url      string
	audience string
	scope    string
	anywhere bool
	origins  list
	json     bool
	quiet    bool

	scopes []string
	secret string
	fake   *fakeissuer.Issuer
	host   string // of url, in lower case
}

func issuer(ctx context.Context, p *Program, args []string) (int, error) {
	s := server{secret: rand.Text()}
	flags := flag.NewFlagSet("issuer", flag.ContinueOnError)
	flags.StringVar(&s.addr, "addr", defaultAddr, "`host:port` to listen on; port 0 is any free one")
	flags.StringVar(&s.audience, "audience", defaultAudience, "the `identifier` of the API that tokens are for")
	flags.StringVar(&s.scope, "scope", defaultScope, "the `scopes` that tokens may have, with spaces between")
	flags.StringVar(&s.url, "url", "", "the issuer `URL`, where others know this machine by another name (default http://HOST:PORT/)")
	flags.BoolVar(&s.anywhere, "insecure-listen-anywhere", false, "allow -addr to be an address that other machines reach: whoever has the secret gets tokens")
	flags.Var(&s.origins, "cors-origin", "the `origins` of browser apps that may ask, with commas (default none)")
	flags.BoolVar(&s.json, "json", false, "print where everything is as one line of JSON")
	flags.BoolVar(&s.quiet, "quiet", false, "do not print a line for each request")
	if err := p.parse(flags, issuerManual, args); err != nil {
		return 0, err
	}
	if err := s.check(); err != nil {
		return 0, err
	}
	return exitGood, s.serve(ctx, p)
}

// check returns an error for flags that cannot be meant.
func (s *server) check() error {
	host, _, err := net.SplitHostPort(s.addr)
	switch {
	case err != nil:
		return usage("-addr is not host:port, such as %s", defaultAddr)
	case !s.anywhere && !isLoopback(host):
		return usage("-addr is not of this machine only, and whoever can reach the issuer can have tokens: use 127.0.0.1, or -insecure-listen-anywhere if that is meant")
	case s.url == "" && !isLoopback(host) && (host == "" || net.ParseIP(host).IsUnspecified()):
		return usage("-url is missing: -addr is every address of this machine, and tokens must name one issuer, such as http://host.docker.internal:8765/")
	case s.audience == "":
		return usage("-audience is empty: it is the identifier of the API that tokens are for")
	}
	set, err := scope.Parse(s.scope)
	if err != nil {
		return errScope
	}
	s.scopes = slices.Collect(set.Values())
	for _, origin := range s.origins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			return usage("-cors-origin has what is no origin: write it as the browser sends it, such as http://localhost:3000 (and not *: any page could have tokens)")
		}
	}
	if s.url != "" {
		// What does not fit is left out here: credentials, a query, a fragment, and
		// characters in the host that a shell obeys, which it might be pasted into.
		u, err := url.Parse(s.url)
		if err != nil || !hostPattern.MatchString(u.Host) || (u.Scheme != "http" && u.Scheme != "https") || s.url != u.Scheme+"://"+u.Host+"/" {
			return usage("-url is not an issuer's URL: write it as http://HOST:PORT/, with the slash at the end")
		}
	}
	return nil
}

// hostPattern is a host that needs no escapes, with a port or without.
var hostPattern = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?$`)

// serve serves until ctx ends.
func (s *server) serve(ctx context.Context, p *Program) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("something listens on %s already, perhaps another of these: stop it, or use -addr 127.0.0.1:0 for any free port", s.addr)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("this user may not listen on %s: use a port above 1023, such as %s", s.addr, defaultAddr)
	case err != nil:
		return fmt.Errorf("it cannot listen on %s: %w", s.addr, err)
	}
	if s.url == "" {
		s.url = "http://" + listener.Addr().String() + "/"
	}
	u, err := url.Parse(s.url)
	if err != nil {
		return err
	}
	s.host = strings.ToLower(u.Hostname())
	s.fake = fakeissuer.New(s.url)
	defer s.fake.Close()
	s.fake.AddClient(clientID, s.secret, s.audience, s.scopes)
	s.fake.AddUser(fakeissuer.User{Subject: "user-1", Profile: map[string]any{
		"name": "Ada Example", "email": "ada@example.com", "email_verified": true,
	}})
	requests := io.Discard
	if !s.quiet {
		requests = p.Stderr
	}
	web := &http.Server{
		Handler:           s.handler(&requestLog{w: requests}),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // what clients do wrong is answered, and not our trouble
	}
	if err := s.tell(p); err != nil {
		_ = listener.Close()
		return err
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	if !s.json {
		fmt.Fprintln(p.Stdout, "\nstopped")
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := web.Shutdown(ending); err != nil {
		return web.Close()
	}
	return nil
}

// handler returns what serves: each layer refuses what those behind it must not
// see.
func (s *server) handler(requests *requestLog) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.fake)
	mux.HandleFunc("GET /dev/access-token", s.serveToken(func() fakeissuer.Token {
		token := s.fake.AccessToken(s.audience)
		token.Claims["scope"] = strings.Join(s.scopes, " ")
		return token
	}))
	mux.HandleFunc("GET /dev/id-token", s.serveToken(func() fakeissuer.Token { return s.fake.IDToken(clientID, "user-1") }))
	return requests.note(s.onlyToThisMachine(s.onlyFromOrigins(mux)))
}

// onlyToThisMachine answers only requests that name this machine as their host.
// A web page can have a name of its own point to 127.0.0.1 (DNS rebinding), and
// is then, for the browser, where this server is; but its name stays in Host.
func (s *server) onlyToThisMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		isAddress := s.anywhere && net.ParseIP(host) != nil // an address cannot be made to point elsewhere
		if !isLoopback(host) && !strings.EqualFold(host, s.host) && !isAddress {
			http.Error(w, "this issuer is known as "+s.url+", and answers to no other host (-url sets another)", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback reports whether a host is this machine by its name alone; no name is
// looked up.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// onlyFromOrigins lets pages of the origins ask that were named, and no others: of
// what a page of another origin asks, not even the effect is wanted. Where a page
// only has something loaded, such as an image, the request has no Origin, and
// Sec-Fetch-Site tells (as it does net/http.CrossOriginProtection); what is no
// browser sends neither.
func (s *server) onlyFromOrigins(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		fromHere := site == "" || site == "same-origin" || site == "none" // typed into the address bar
		if fromHere && (origin == "" || strings.EqualFold(origin, "http://"+r.Host)) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Add("Vary", "Origin, Sec-Fetch-Site")
		if !slices.Contains(s.origins, origin) {
			http.Error(w, "pages of that origin may not ask here; -cors-origin names those that may", http.StatusForbidden)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", origin)
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serveToken answers with a token alone, for the shell: to whoever has the
// client's secret, as the token endpoint does. The query may change what it says.
func (s *server) serveToken(make func() fakeissuer.Token) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if id, secret, _ := r.BasicAuth(); id != clientID || subtle.ConstantTimeCompare([]byte(secret), []byte(s.secret)) == 0 {
			w.Header().Set("WWW-Authenticate", `Basic realm="dev"`)
			http.Error(w, "give the client and its secret: curl -u "+clientID+":SECRET", http.StatusUnauthorized)
			return
		}
		token := make()
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			http.Error(w, "the query is malformed: curl -G --data-urlencode NAME=VALUE writes it well", http.StatusBadRequest)
			return
		}
		for _, name := range slices.Sorted(maps.Keys(query)) {
			if err := change(token.Claims, name, query[name]); err != nil {
				http.Error(w, safe(name, 60)+": "+err.Error(), http.StatusBadRequest)
				return
			}
		}
		signed, err := s.fake.Sign(token)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintln(w, signed)
	}
}

// change changes what a token says by a parameter of the query.
func change(claims map[string]any, name string, values []string) error {
	value := values[0]
	if len(values) > 1 {
		return errors.New("it is there more than once; a list is JSON, such as claim.roles=[\"a\",\"b\"]")
	}
	switch name {
	case "sub", "aud", "scope", "client_id", "iss", "acr":
		claims[name] = value
		return nil
	case "auth_time":
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return errors.New("it is a number of seconds: from now where it is 0 or negative, such as -60, and since 1970 otherwise")
		}
		if seconds <= 0 {
			seconds += time.Now().Unix()
		}
		claims[name] = seconds
		return nil
	case "expires_in":
		seconds, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return errors.New("it is a number of seconds, negative for a token that has expired")
		}
		expiry := time.Now().Add(time.Duration(seconds) * time.Second)
		claims["exp"] = expiry.Unix()
		if seconds <= 0 { // it was good for a while before
			claims["iat"] = expiry.Add(-fakeissuer.Lifetime).Unix()
		}
		return nil
	}
	if claim, ok := strings.CutPrefix(name, "claim."); ok && claim != "" {
		claims[claim] = valueOf(value)
		return nil
	}
	return errors.New("there is no such parameter: there are sub, aud, scope, client_id, iss, acr, auth_time and expires_in, and claim.NAME for the claim NAME")
}

// valueOf returns the value of a claim: JSON where the text is that, and else the
// text. A text that would be JSON is written as JSON, in quotes.
func valueOf(text string) any {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return text
}

// A requestLog prints a line for each request.
type requestLog struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *requestLog) note(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noted := &notedWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(noted, r)
		l.mu.Lock()
		defer l.mu.Unlock()
		// The query is left out: a token has no business there, and may be there.
		fmt.Fprintf(l.w, "%s %s %d\n", safe(r.Method, 10), safe(r.URL.Path, 100), noted.status)
	})
}

// A notedWriter remembers the status of an answer.
type notedWriter struct {
	http.ResponseWriter
	status int
}

func (w *notedWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find what else the writer can do.
func (w *notedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// tell prints where everything is, and lines to try.
func (s *server) tell(p *Program) error {
	if s.json {
		return writeLine(p.Stdout, struct {
			Issuer   string   `json:"issuer"`
			Audience string   `json:"audience"`
			KeySet   string   `json:"jwks_uri"`
			Token    string   `json:"token_endpoint"`
			ID       string   `json:"client_id"`
			Secret   string   `json:"client_secret"`
			Scopes   []string `json:"scopes"`
		}{s.url, s.audience, s.fake.KeySetURL(), s.fake.TokenURL(), clientID, s.secret, s.scopes})
	}
	g := newPage(p)
	g.table([]row{
		{cells: []string{"issuer", s.url}},
		{cells: []string{"audience", s.audience}},
		{cells: []string{"key set", s.fake.KeySetURL()}},
		{cells: []string{"token endpoint", s.fake.TokenURL()}},
		{cells: []string{"client", clientID + ", with the secret " + s.secret}},
	})
	if s.anywhere {
		g.paragraph(g.styled(yellow, "It listens beyond this machine: "), "whoever has the secret can have tokens for any API that trusts this issuer.")
	}
	audience, scopes := quote(s.audience), quote("scope="+s.scopes[0])
	dev := func(path string) string {
		return fmt.Sprintf(`$(curl -sS -u %s:%s %s)`, clientID, s.secret, quote(s.url+"dev/"+path))
	}
	g.heading("# A machine's token, by client credentials")
	g.line("curl -sS %s -d grant_type=client_credentials -d client_id=%s -d client_secret=%s --data-urlencode audience=%s --data-urlencode %s",
		quote(s.fake.TokenURL()), clientID, s.secret, audience, scopes)
	g.heading("# Tokens alone: of user-1; without a scope; expired; for another API; an ID Token;")
	g.line("%s", g.styled(bold, "# with what else a route asks for: acr, auth_time (seconds from now), and any claim"))
	g.line("ACCESS=%s", dev("access-token"))
	g.line("NOSCOPE=%s", dev("access-token?scope="))
	g.line("EXPIRED=%s", dev("access-token?expires_in=-3600"))
	g.line("OTHER=%s", dev("access-token?aud=another"))
	g.line("ID=%s", dev("id-token"))
	g.line("STEPUP=%s", dev("access-token?acr=mfa&auth_time=-60&claim.org_id=acme"))
	g.heading("# What your API answers, and why")
	g.line(`curl -i -H "Authorization: Bearer $ACCESS" http://localhost:8080/your/route`)
	g.line(`echo "$ID" | %s explain -issuer %s -audience %s`, p.name(), quote(s.url), audience)
	ending := "Ctrl-C stops it. Each request is a line below."
	if s.quiet {
		ending = "Ctrl-C stops it."
	}
	g.heading(ending)
	return g.flush(p.Stdout)
}

// quote quotes a text for a shell, where it needs that.
func quote(text string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(":/._-=@%+,", r)
	}
	if text != "" && !strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
