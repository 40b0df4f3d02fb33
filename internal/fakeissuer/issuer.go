// Package fakeissuer is an authorization server for tests and examples: it has
// real keys, signs real tokens and answers discovery, key set, token and
// userinfo requests, on a socket or in memory. It can rotate its keys, go down
// and hang, and counts what it is asked.
package fakeissuer

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Lifetime is how long tokens are good for that do not say otherwise.
const Lifetime = time.Hour

// Where the endpoints are, below the issuer's URL.
const (
	metadataPath = ".well-known/openid-configuration"
	keySetPath   = ".well-known/jwks.json"
	tokenPath    = "oauth/token"
	userinfoPath = "userinfo"
)

// A client may get tokens for itself from the token endpoint (RFC 6749 §4.4).
type client struct {
	secret string
	scopes map[string][]string // audience → what the client may have there
}

// A User is whom ID Tokens and the userinfo endpoint tell of.
type User struct {
	Subject string
	Profile map[string]any // further claims, such as name and email
}

// A Token is what is to be signed. Each issuer makes its own, so a caller may
// change it.
type Token struct {
	Header map[string]any // "alg" and "kid" are put in by signing where they are missing
	Claims map[string]any

	Algorithm string // what it is signed with; "" means DefaultAlgorithm

	// Texts that take the place of Header and Claims as they are, where they are
	// not nil.
	RawHeader, RawPayload *string
}

// Absent is the value of a header that signing must not put in.
type Absent struct{}

// Texts returns the header and the payload, to be signed with a key.
func (t Token) Texts(key *Key) (header, payload string, err error) {
	members := map[string]any{"alg": key.algorithm, "kid": key.ID()}
	maps.Copy(members, t.Header)
	maps.DeleteFunc(members, func(_ string, value any) bool { return value == any(Absent{}) })
	if header, err = textOf(t.RawHeader, members); err != nil {
		return "", "", fmt.Errorf("the header cannot be written as JSON: %w", err)
	}
	if payload, err = textOf(t.RawPayload, t.Claims); err != nil {
		return "", "", fmt.Errorf("the claims cannot be written as JSON: %w", err)
	}
	return header, payload, nil
}

// textOf returns the text as it is, or else the members in JSON.
func textOf(raw *string, members map[string]any) (string, error) {
	if raw != nil {
		return *raw, nil
	}
	text, err := json.Marshal(members)
	return string(text), err
}

// fetches says how often was asked for what is counted. It counts nothing by
// names that come from outside: whoever can reach the issuer could make up
// addresses until its memory is full.
type fetches struct{ metadata, keySet, userinfo int }

// An Issuer is a fake authorization server. Its methods are safe for concurrent
// use.
type Issuer struct {
	url       string
	endpoints *http.ServeMux

	mu        sync.Mutex
	ring      keyring
	clients   map[string]client
	users     map[string]User
	fetches   fetches
	strangers []string // what the client was asked for of others
	keySet    KeySet
	userinfo  http.Handler // nil: the issuer's own
	down      bool
	delay     time.Duration
	hanging   chan struct{} // closed: go on; nil: not hanging
	closing   chan struct{} // closed with the issuer
	closed    bool
	pending   sync.WaitGroup
}

// New returns an issuer that is known by url, which is a host and "/": its
// endpoints are at the root.
func New(url string) *Issuer {
	i := &Issuer{
		url:       url,
		endpoints: http.NewServeMux(),
		ring:      newKeyring(),
		clients:   map[string]client{},
		users:     map[string]User{},
		closing:   make(chan struct{}),
	}
	i.endpoints.HandleFunc("GET /"+metadataPath, i.serveMetadata)
	i.endpoints.HandleFunc("GET /.well-known/oauth-authorization-server", i.serveMetadata) // RFC 8414 §3
	i.endpoints.HandleFunc("GET /"+keySetPath, i.serveKeySet)
	i.endpoints.HandleFunc("POST /"+tokenPath, i.serveToken)
	i.endpoints.HandleFunc("GET /"+userinfoPath, i.serveUserinfo)
	return i
}

// URL returns the issuer identifier.
func (i *Issuer) URL() string { return i.url }

// KeySetURL returns where the key set is.
func (i *Issuer) KeySetURL() string { return i.url + keySetPath }

// TokenURL returns where the token endpoint is.
func (i *Issuer) TokenURL() string { return i.url + tokenPath }

// UserinfoURL returns where the userinfo endpoint is.
func (i *Issuer) UserinfoURL() string { return i.url + userinfoPath }

// AddClient lets a client have these scopes for an audience, in addition to what
// it may have for others.
func (i *Issuer) AddClient(id, secret, audience string, scopes []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	known := client{secret: secret, scopes: maps.Clone(i.clients[id].scopes)}
	if known.scopes == nil {
		known.scopes = map[string][]string{}
	}
	known.scopes[audience] = slices.Clone(scopes)
	i.clients[id] = known
}

// AddUser makes a user known to ID Tokens and the userinfo endpoint.
func (i *Issuer) AddUser(u User) {
	i.mu.Lock()
	defer i.mu.Unlock()
	u.Profile = maps.Clone(u.Profile)
	i.users[u.Subject] = u
}

// Profile returns what is known of a user, in a map of the caller's own.
func (i *Issuer) Profile(subject string) map[string]any {
	i.mu.Lock()
	defer i.mu.Unlock()
	if profile := maps.Clone(i.users[subject].Profile); profile != nil {
		return profile
	}
	return map[string]any{}
}

// SetDown makes every endpoint answer 503, or stops doing so.
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

func (i *Issuer) isDown() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.down
}

// SetDelay makes every answer take that long.
func (i *Issuer) SetDelay(delay time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.delay = delay
}

// Hang makes every endpoint wait, until the request is given up or the returned
// function is called, which may be more than once.
func (i *Issuer) Hang() (release func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.hanging == nil {
		i.hanging = make(chan struct{})
	}
	mine := i.hanging
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.hanging == mine {
			close(mine)
			i.hanging = nil
		}
	}
}

// KeyFetches returns how often the key set was asked for, answered or not.
func (i *Issuer) KeyFetches() int { return i.fetched().keySet }

// DiscoveryFetches returns how often the metadata were asked for, answered or
// not.
func (i *Issuer) DiscoveryFetches() int { return i.fetched().metadata }

// UserinfoRequests returns how often the userinfo endpoint was asked, answered or
// not.
func (i *Issuer) UserinfoRequests() int { return i.fetched().userinfo }

// SetUserinfo has the userinfo endpoint answered by somebody else; nil gives it
// back to the issuer.
func (i *Issuer) SetUserinfo(h http.Handler) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.userinfo = h
}

// Strangers returns what the client was asked for of others than the issuer.
func (i *Issuer) Strangers() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.strangers)
}

func (i *Issuer) fetched() fetches {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

// Close releases the requests that hang, waits for all that are under way, and
// refuses further ones. Nothing is signed any more.
func (i *Issuer) Close() {
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return
	}
	i.closed = true
	close(i.closing)
	if i.hanging != nil {
		close(i.hanging)
		i.hanging = nil
	}
	i.mu.Unlock()
	i.pending.Wait()

	i.mu.Lock()
	defer i.mu.Unlock()
	giveBack(i.ring.made)
}

var errClosed = errors.New("the fake issuer is closed")

// enter counts a request in, and out when the returned function is called.
func (i *Issuer) enter(path string) (hanging <-chan struct{}, delay time.Duration, leave func(), err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, 0, nil, errClosed
	}
	switch path {
	case "/" + metadataPath:
		i.fetches.metadata++
	case "/" + keySetPath:
		i.fetches.keySet++
	case "/" + userinfoPath:
		i.fetches.userinfo++
	}
	i.pending.Add(1)
	return i.hanging, i.delay, i.pending.Done, nil
}

// sleep waits, and reports whether the request is still there.
func (i *Issuer) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-i.closing:
	case <-ctx.Done():
		return false
	}
	return true
}

// ServeHTTP implements [http.Handler].
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hanging, delay, leave, err := i.enter(r.URL.Path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer leave()
	if hanging != nil {
		select {
		case <-hanging:
		case <-r.Context().Done():
			return
		}
	}
	if !i.sleep(r.Context(), delay) {
		return
	}
	if i.isDown() {
		http.Error(w, "the fake issuer is down", http.StatusServiceUnavailable)
		return
	}
	i.endpoints.ServeHTTP(w, r)
}

func (i *Issuer) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                i.url,
		"jwks_uri":                              i.url + keySetPath,
		"token_endpoint":                        i.url + tokenPath,
		"userinfo_endpoint":                     i.url + userinfoPath,
		"grant_types_supported":                 []string{"client_credentials"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
	})
}

func (i *Issuer) serveKeySet(w http.ResponseWriter, _ *http.Request) {
	mediaType, text := i.keySetText()
	w.Header().Set("Content-Type", mediaType)
	_, _ = io.WriteString(w, text) // an error means that the client is gone
}

// serveToken grants client credentials (RFC 6749 §4.4) for an audience.
func (i *Issuer) serveToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		writeError(w, http.StatusBadRequest, "invalid_request", "the body is not a form")
		return
	}
	if grant := r.PostForm.Get("grant_type"); grant != "client_credentials" {
		writeError(w, http.StatusBadRequest, "unsupported_grant_type", "the fake issuer grants client_credentials only")
		return
	}
	id, known := i.authenticate(r)
	if known == nil {
		if _, _, basic := r.BasicAuth(); basic {
			w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
		}
		writeError(w, http.StatusUnauthorized, "invalid_client", "the client is not known, or its secret is wrong")
		return
	}
	audience, clear := target(r.PostForm)
	granted, allowed := known.scopes[audience]
	if clear && audience == "" && !allowed {
		writeError(w, http.StatusBadRequest, "invalid_target", "no audience was sent: add audience="+strings.Join(slices.Sorted(maps.Keys(known.scopes)), " or audience="))
		return
	}
	if !clear || !allowed {
		writeError(w, http.StatusBadRequest, "invalid_target", "the client may not have tokens for this audience")
		return
	}
	if asked := r.PostForm.Get("scope"); asked != "" {
		words := strings.Fields(asked)
		for _, word := range words {
			if !slices.Contains(granted, word) {
				writeError(w, http.StatusBadRequest, "invalid_scope", "the client may not have one of these scopes")
				return
			}
		}
		granted = words
	}
	token := i.AccessToken(audience)
	token.Claims["sub"] = id // RFC 9068 §2.2: no resource owner is involved
	token.Claims["client_id"] = id
	token.Claims["scope"] = strings.Join(granted, " ")
	signed, err := i.Sign(token)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": signed,
		"token_type":   "Bearer",
		"expires_in":   int(Lifetime.Seconds()),
		"scope":        token.Claims["scope"],
	})
}

// target returns which API a token is asked for: in the parameter audience, which
// many authorization servers have, or in resource (RFC 8707 §2). It reports false
// where they name several.
func target(form url.Values) (audience string, clear bool) {
	for _, named := range slices.Concat(form["audience"], form["resource"]) {
		if audience != "" && named != audience {
			return "", false
		}
		audience = named
	}
	return audience, true
}

// authenticate returns the client whose credentials a request has (RFC 6749
// §2.3.1). In the header, they are encoded as in a form once more; many clients
// do not, so that both are taken.
func (i *Issuer) authenticate(r *http.Request) (id string, known *client) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	if known := i.client(id, secret); known != nil || !basic {
		return id, known
	}
	id, err := url.QueryUnescape(id)
	if err != nil {
		return "", nil
	}
	secret, err = url.QueryUnescape(secret)
	if err != nil {
		return "", nil
	}
	return id, i.client(id, secret)
}

// client returns the client with that secret, nil where there is none.
func (i *Issuer) client(id, secret string) *client {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, exists := i.clients[id]
	if !exists || subtle.ConstantTimeCompare([]byte(known.secret), []byte(secret)) == 0 {
		return nil
	}
	return &known
}

// serveUserinfo answers with the profile of the user whom an access token with
// the scope openid stands for (OpenID Connect Core §5.3): sub, the standard claims
// that the token's further scopes ask for, and all claims that are not standard.
func (i *Issuer) serveUserinfo(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	other := i.userinfo
	i.mu.Unlock()
	if other != nil {
		other.ServeHTTP(w, r)
		return
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	claims, err := i.verify(token)
	if !strings.EqualFold(scheme, "Bearer") || err != nil {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeError(w, http.StatusUnauthorized, "invalid_token", "no access token of this issuer that is good now")
		return
	}
	scopes := scopesOf(claims)
	if !slices.Contains(scopes, "openid") {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="openid"`)
		writeError(w, http.StatusForbidden, "insufficient_scope", "the scope openid is missing")
		return
	}
	subject, _ := claims["sub"].(string)
	profile := i.Profile(subject)
	for claim, scope := range scopeOfClaim {
		if !slices.Contains(scopes, scope) {
			delete(profile, claim)
		}
	}
	profile["sub"] = subject
	writeJSON(w, http.StatusOK, profile)
}

// scopeOfClaim has the scope that each standard claim of a profile is asked for by
// (OpenID Connect Core §5.4). Without it, a claim is not told: a client that forgets
// to ask for email has none in production, and must have none in a test.
var scopeOfClaim = map[string]string{
	"name": "profile", "family_name": "profile", "given_name": "profile", "middle_name": "profile",
	"nickname": "profile", "preferred_username": "profile", "profile": "profile", "picture": "profile",
	"website": "profile", "gender": "profile", "birthdate": "profile", "zoneinfo": "profile",
	"locale": "profile", "updated_at": "profile",
	"email": "email", "email_verified": "email",
	"address":      "address",
	"phone_number": "phone", "phone_number_verified": "phone",
}

// scopesOf returns the scopes of a token, wherever an authorization server has put
// them, in "scope" or "scp", and in either form: a text (RFC 8693 §4.2) or an array
// of texts. A claim of another type has none. So it is read by guards, and a token
// that opens a route must not be refused here for how it is written.
func scopesOf(claims map[string]any) (scopes []string) {
	for _, name := range [...]string{"scope", "scp"} {
		switch value := claims[name].(type) {
		case string:
			scopes = append(scopes, strings.Split(value, " ")...)
		case []any:
			scopes = append(scopes, texts(value)...)
		}
	}
	return scopes
}

// texts returns the elements of an array of texts, none where one is something else.
func texts(elements []any) (all []string) {
	for _, element := range elements {
		text, is := element.(string)
		if !is {
			return nil
		}
		all = append(all, text)
	}
	return all
}

// AccessToken returns an access token for the audience in the shape of RFC 9068,
// good from now on, without scopes.
func (i *Issuer) AccessToken(audience ...string) Token {
	now := time.Now()
	return Token{
		Header: map[string]any{"typ": "at+jwt"},
		Claims: map[string]any{
			"iss":       i.url,
			"sub":       "user-1",
			"aud":       stringOrArray(audience),
			"client_id": "client-1",
			"iat":       now.Unix(),
			"exp":       now.Add(Lifetime).Unix(),
			"jti":       newID(),
		},
	}
}

// IDToken returns an ID Token for the client (OpenID Connect Core §2), with the
// profile of the user.
func (i *Issuer) IDToken(client, subject string) Token {
	now := time.Now()
	claims := map[string]any{
		"iss":       i.url,
		"sub":       subject,
		"aud":       client,
		"iat":       now.Unix(),
		"exp":       now.Add(Lifetime).Unix(),
		"auth_time": now.Unix(),
		"nonce":     newID(),
		"sid":       newID(),
	}
	maps.Copy(claims, i.Profile(subject))
	return Token{Header: map[string]any{"typ": "JWT"}, Claims: claims}
}

// verify returns the claims of a token that this issuer has signed and that has
// not expired.
func (i *Issuer) verify(token string) (map[string]any, error) {
	payload, err := i.verifyAny(token)
	if err != nil {
		return nil, err
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, err
	}
	if exp, _ := claims["exp"].(float64); time.Now().Unix() >= int64(exp) {
		return nil, errors.New("expired")
	}
	return claims, nil
}

// stringOrArray writes an audience as RFC 7519 §4.1.3 has it.
func stringOrArray(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	return values
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // an error means that the client is gone
}

func writeError(w http.ResponseWriter, status int, code, description string) {
	writeJSON(w, status, map[string]string{"error": code, "error_description": description})
}
