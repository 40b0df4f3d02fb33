package middleware

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// sources says where else than in the Authorization header a guard looks for the
// token.
type sources struct {
	form        bool
	query       bool
	cookie      string // its name; "": none
	crossOrigin *http.CrossOriginProtection
}

// tokenParameter is the name of the token in a form or a query (RFC 6750 §2.2,
// §2.3).
const tokenParameter = "access_token"

// maxFormSize is how large a form may be in which a token is looked for.
const maxFormSize = 1 << 20

// A credential is the token of a request, and where it was found.
type credential struct {
	token string
	from  place
}

type place int8

const (
	inHeader place = iota
	inForm
	inQuery
	inCookie
)

// Made once: requests without a token are the cheapest to send.
var (
	errNoHeader    = fmt.Errorf("%w: there is no Authorization header", ErrNoToken)
	errOtherScheme = fmt.Errorf("%w: the Authorization header does not begin with Bearer and a space", ErrNoToken)
	errNotOneToken = fmt.Errorf("%w: what follows Bearer is not one token", ErrInvalidRequest)
	errTwoWays     = fmt.Errorf("%w: the token was sent in more than one way", ErrInvalidRequest)
	errLargeForm   = fmt.Errorf("%w: the form is too large to look for a token in it", ErrInvalidRequest)
	errNotAToken   = fmt.Errorf("%w: the parameter or cookie of the token has something else", ErrInvalidRequest)
)

const (
	sayOneHeader = "the request must have one Authorization header, with Bearer and one access token"
	sayOneWay    = "the request must have one access token, sent in one way"
)

// credential returns the token of a request. A token in a form, a query or a
// cookie is no credential unless the guard was told to look there.
func (g *Guard) credential(r *http.Request) (credential, *Error) {
	token, refusal := headerToken(r.Header)
	switch {
	case refusal != nil && !refusal.isMissingToken():
		return credential{}, refusal
	case g.sources != (sources{}):
		return g.onlyCredential(r, token)
	case refusal == nil && !g.ours && !isToken68(token): // ours lets none in that is no b64token
		refusal = invalidRequest(sayOneHeader, errNotOneToken)
	}
	return credential{token: token}, refusal
}

// onlyCredential returns the one token of a request that may be in several places;
// token is that of the header.
func (g *Guard) onlyCredential(r *http.Request, token string) (credential, *Error) {
	var found []credential
	if token != "" {
		found = append(found, credential{token, inHeader})
	}
	if g.sources.query {
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil { // there might be a token in what cannot be read
			return credential{}, invalidRequest("the query of the URL is malformed", fmt.Errorf("%w: the query cannot be read", ErrInvalidRequest))
		}
		for _, token := range values[tokenParameter] {
			found = append(found, credential{token, inQuery})
		}
	}
	if g.sources.form {
		tokens, refusal := formTokens(r)
		if refusal != nil {
			return credential{}, refusal
		}
		for _, token := range tokens {
			found = append(found, credential{token, inForm})
		}
	}
	if g.sources.cookie != "" {
		for token := range cookies(r.Header, g.sources.cookie) {
			found = append(found, credential{token, inCookie})
		}
	}
	switch {
	case len(found) == 0:
		return credential{}, missingToken(errNoHeader)
	case len(found) > 1: // RFC 6750 §2, §3.1
		return credential{}, invalidRequest(sayOneWay, errTwoWays)
	case !isToken68(found[0].token):
		return credential{}, invalidRequest(sayOneWay, errNotAToken)
	case found[0].from == inCookie:
		if err := g.sources.checkOrigin(r); err != nil {
			return credential{}, accessDenied(err)
		}
	}
	return found[0], nil
}

// headerToken returns what stands for the token in the Authorization header
// (RFC 6750 §2.1).
func headerToken(header http.Header) (string, *Error) {
	credentials := header["Authorization"]
	switch {
	case len(credentials) == 0:
		return "", missingToken(errNoHeader)
	case len(credentials) > 1: // RFC 6750 §3.1: more than one method
		return "", invalidRequest(sayOneHeader, fmt.Errorf("%w: there are %d Authorization headers", ErrInvalidRequest, len(credentials)))
	}
	// The scheme is compared without case (RFC 9110 §11.1), and one or more
	// spaces follow it (RFC 9110 §11.4).
	token, usual := strings.CutPrefix(credentials[0], "Bearer ")
	if !usual {
		var scheme string
		scheme, token, _ = strings.Cut(credentials[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			if n := len("Bearer"); len(scheme) > n && strings.EqualFold(scheme[:n], "Bearer") && !isTokenChar(scheme[n]) {
				return "", invalidRequest(sayOneHeader, errNotOneToken) // such as a tab in place of the space
			}
			return "", missingToken(errOtherScheme)
		}
	}
	token = strings.TrimLeft(token, " ")
	if token == "" {
		return "", invalidRequest(sayOneHeader, errNotOneToken)
	}
	return token, nil
}

// isTokenChar reports whether c may be in the name of a scheme (RFC 9110 §5.6.2).
func isTokenChar(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// isToken68 reports whether text is a b64token of RFC 6750 §2.1:
//
//	b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
func isToken68(text string) bool {
	body := strings.TrimRight(text, "=")
	for i := range len(body) {
		if !token68[body[i]] {
			return false
		}
	}
	return body != ""
}

// token68 has the characters of a b64token.
var token68 = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		is[c] = true
	}
	return is
}()

// formTokens returns the tokens in the form that is the request's body, if it is
// one as RFC 6750 §2.2 wants it. The handler finds the body as it was.
func formTokens(r *http.Request) ([]string, *Error) {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch: // never GET
	default:
		return nil, nil
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if (err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter)) || kind != "application/x-www-form-urlencoded" {
		return nil, nil // as for a handler's ParseForm
	}
	if r.PostForm != nil { // somebody before has read the body
		return r.PostForm[tokenParameter], nil
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	var body []byte
	if r.ContentLength <= maxFormSize {
		body, err = io.ReadAll(io.LimitReader(r.Body, maxFormSize+1))
	}
	_, cut := errors.AsType[*http.MaxBytesError](err)
	switch {
	case cut, len(body) > maxFormSize, r.ContentLength > maxFormSize:
		return nil, &Error{
			Status:      http.StatusRequestEntityTooLarge,
			Code:        CodeInvalidRequest,
			Description: "the form is too large to have an access token in it; send the token in the header",
			Err:         errLargeForm,
		}
	case isOurs(err): // the request has ended before its form has
		return nil, unavailable(err)
	case err != nil:
		return nil, invalidRequest("the form could not be read to its end", fmt.Errorf("%w: %w", ErrInvalidRequest, err))
	}
	r.Body = readAgain{bytes.NewReader(body), r.Body}
	values, err := url.ParseQuery(string(body))
	if err != nil { // there might be a token in what cannot be read
		return nil, invalidRequest("the form is malformed", fmt.Errorf("%w: the form cannot be read", ErrInvalidRequest))
	}
	return values[tokenParameter], nil
}

// cookies iterates over the values of the cookies with that name, also those that
// [http.Request.Cookies] drops: a token that is malformed is no missing token.
func cookies(header http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range header.Values("Cookie") {
			for pair := range strings.SplitSeq(line, ";") {
				key, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
				if inner, quoted := strings.CutPrefix(value, `"`); quoted {
					value = strings.TrimSuffix(inner, `"`)
				}
				if key == name && value != "" && !yield(value) { // an empty one is what a logout leaves
					return
				}
			}
		}
	}
}

// readAgain is a body that has been read, to be read from the start.
type readAgain struct {
	io.Reader
	io.Closer
}

// checkOrigin refuses what another site has a browser send: a cookie goes along by
// itself. The upgrade to a WebSocket counts as a request that changes something,
// since the other site could read and write through it.
func (s sources) checkOrigin(r *http.Request) error {
	if len(r.Header.Values("Upgrade")) > 0 {
		r = r.Clone(r.Context())
		r.Method = http.MethodPost
	}
	return s.crossOrigin.Check(r)
}

// isPreflight reports whether a request without credentials is what a browser asks
// before it sends one to another origin (the Fetch standard, "CORS-preflight
// request").
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions &&
		r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != "" &&
		len(r.Header.Values("Authorization")) == 0 // of whatever scheme
}
