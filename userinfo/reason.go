package userinfo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// What a server says is in no error: it has seen the token, and what it knows of the
// user is personal. So errors are written here, of our own words and numbers, and of
// where the endpoint is. This also bounds how long they are.

// withheld stands for what nobody knows to be free of a server's words.
const withheld = "the reason is withheld, since the issuer may have a part in its text"

// reason says in our own words why something did not come back.
func reason(err error) string {
	if status, ok := errors.AsType[*fetch.StatusError](err); ok {
		return fmt.Sprintf("it answered %d %s", status.StatusCode, http.StatusText(status.StatusCode))
	}
	timeout, _ := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), timeout != nil && timeout.Timeout():
		return "it takes too long"
	case errors.Is(err, context.Canceled):
		return "the call was cancelled"
	case is[*net.DNSError](err):
		return "DNS does not know its host, or does not answer"
	case is[x509.UnknownAuthorityError](err):
		return "its certificate is of an authority that this machine does not know"
	case is[x509.HostnameError](err):
		return "its certificate is for another host"
	case is[x509.CertificateInvalidError](err), is[*tls.CertificateVerificationError](err):
		return "its certificate is not valid, or not any more"
	case is[tls.AlertError](err), is[tls.RecordHeaderError](err), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS with this machine"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection ended before the answer"
	case is[*net.OpError](err):
		return "the network does not get there"
	default:
		return withheld
	}
}

// is reports whether an error is, or wraps, one of a type.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// misread says what an error of package strictjson or jws is about. Their words are our
// own, but for the names that a document has.
func misread(err error) string {
	if is[*strictjson.RepeatedError](err) {
		return "a name occurs twice"
	}
	return err.Error()
}

// mismatch says why what an issuer has said is no T, without what it has said.
func mismatch[T any](err error) error {
	var zero T
	what := "a type of its own does not take what the issuer has said"
	if failed, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, _, _ := strings.Cut(failed.Value, " ") // "number 7"
		what = fmt.Sprintf("%s is a JSON %s, which is no %v", failed.Field, kind, failed.Type)
	} else if errors.Is(err, strictjson.ErrSyntax) {
		what = misread(err)
	}
	return fmt.Errorf("userinfo: as %T: %s", zero, what)
}

// place returns where a URL leads, for an error: scheme, host and path, for the query
// may have anything in it. Of what is long nothing is cut out, since half of a token
// would pass for none.
func place(rawURL string) string {
	const most = 128
	u, err := url.Parse(rawURL)
	if err != nil {
		return "the endpoint"
	}
	host := u.Scheme + "://" + u.Host
	switch path := u.EscapedPath(); {
	case len(host) > most:
		return "the endpoint"
	case len(host)+len(path) > most:
		return fmt.Sprintf("%q", host+"/…")
	default:
		return fmt.Sprintf("%q", host+path)
	}
}

// withhold returns an error as it is, unless its text has a part of the token in it: an
// issuer may name an endpoint that is made of one.
func withhold(err error, token string) error {
	if err == nil || !repeats(err.Error(), token) {
		return err
	}
	kind := kindOf(err)
	bare := fmt.Errorf("%w: %s", kind, withheld)
	if kind == ErrUnauthorized {
		return notAccepted(bare)
	}
	return afterWish(bare, wishOf(err))
}

// repeats reports whether a text has so much of the token in it that it matters. The
// text is one of this package's own, so it is short, and a server does not choose what
// the search costs.
func repeats(text, token string) bool {
	part := min(16, len(token))
	for i := 0; i+part <= len(text); i++ {
		if strings.Contains(token, text[i:i+part]) {
			return true
		}
	}
	return false
}
