package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"

	"github.com/bearerguard/bearerguard/internal/discovery"
	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// What clients' IDs look like at well-known authorization servers. An audience
// that looks so is most often the client's, which is the audience of ID Tokens.
var clientIDs = []struct {
	form *regexp.Regexp
	of   string
}{
	{regexp.MustCompile(`^[A-Za-z0-9]{32}$`), "Auth0"},
	{regexp.MustCompile(`^0oa[A-Za-z0-9]{17}$`), "Okta"},
	{regexp.MustCompile(`^[a-z0-9]{26}$`), "Cognito"},
	{regexp.MustCompile(`\.apps\.googleusercontent\.com$`), "Google"},
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// lookAtAudience tells what is odd about an audience. Nothing of it is proof.
func lookAtAudience(audience, issuer string) finding {
	odd := func(detail, hint string) finding {
		return finding{Name: checkAudience, Result: warning, Detail: detail, Hint: hint}
	}
	for _, c := range clientIDs {
		if c.form.MatchString(audience) {
			return odd("it looks like the ID of a client of "+c.of,
				"Config.Audience is the identifier of the API; an ID Token has the client's ID as its audience, and must not open an API")
		}
	}
	root := strings.TrimSuffix(issuer, "/")
	switch lower := strings.ToLower(audience); {
	case strings.TrimSuffix(audience, "/") == root:
		return odd("it is the issuer", "Config.Audience is the identifier of the API, as the issuer has it registered")
	case audience == root+"/userinfo":
		return odd("it is the issuer's userinfo endpoint", "a token for it is for the issuer: the client must ask for the API's own audience")
	case audience == root+"/api/v2/":
		return odd("it is Auth0's Management API", "register an API of your own, and ask for its identifier")
	case lower == "account":
		return odd("it is Keycloak's account service, which every client of the realm gets", "give the API a client of its own, and an audience mapper")
	case lower == "https://graph.microsoft.com" || lower == "00000003-0000-0000-c000-000000000000":
		return odd("it is Microsoft Graph, whose tokens are for Graph alone", "expose an API in a registration of your own, and ask for its scope")
	case strings.ContainsAny(audience, " ,;"):
		return odd("it looks like a list", "Config.Audience is one identifier; others of the same API go into Config.AudienceAliases")
	case guid.MatchString(audience):
		return finding{Name: checkAudience, Result: note, Detail: "it is a GUID, as Entra ID has them",
			Hint: "it must be the application ID of the API's own registration, and not that of the client that calls it"}
	case strings.Contains(audience, "://") && strings.HasSuffix(audience, "/"):
		return finding{Name: checkAudience, Result: note, Detail: "it ends with a slash", Hint: "that counts: the client must ask for it with the slash too"}
	}
	return finding{Name: checkAudience, Result: ok, Detail: "nothing is odd about it; whether tokens have it, explain tells"}
}

// lookAtIssuer tells of an issuer that answers as it should, and whose access
// tokens are for others all the same; "" where it is none.
func lookAtIssuer(issuer string) (detail, hint string) {
	u, err := url.Parse(issuer)
	if err != nil {
		return "", ""
	}
	host := strings.ToLower(u.Hostname())
	isOkta := strings.HasSuffix(host, ".okta.com") || strings.HasSuffix(host, ".oktapreview.com") || strings.HasSuffix(host, ".okta-emea.com")
	if isOkta && strings.Trim(u.Path, "/") == "" {
		return "it is Okta's org authorization server, whose access tokens are for Okta alone",
			"use a custom one, such as " + strings.TrimSuffix(issuer, "/") + "/oauth2/default"
	}
	return "", ""
}

// likely tells what most often is behind a fetch that fails.
func likely(err error, issuer string) string {
	var (
		unknownAuthority x509.UnknownAuthorityError
		hostname         x509.HostnameError
		invalid          x509.CertificateInvalidError
		noTLS            tls.RecordHeaderError
		noHost           *net.DNSError
		status           *fetch.StatusError
		timeout          net.Error
	)
	switch {
	case errors.Is(err, discovery.ErrIssuer) && (strings.Contains(issuer, "/common") || strings.Contains(issuer, "/organizations")):
		return "in Entra ID, a token's issuer has the ID of the tenant: https://login.microsoftonline.com/TENANT-ID/v2.0"
	case errors.Is(err, discovery.ErrIssuer):
		return "Config.Issuer must be what the metadata say, which is the iss of the tokens"
	case errors.As(err, &unknownAuthority):
		return "the certificate is of an authority that this machine does not know: a private one (name its file in SSL_CERT_FILE), or a proxy that opens TLS"
	case errors.As(err, &hostname):
		return "the certificate is for another host: is this the right address?"
	case errors.As(err, &invalid):
		return "the certificate is not good now: if this machine's clock is right, the issuer must renew it"
	case errors.As(err, &noTLS), errors.Is(err, http.ErrSchemeMismatch):
		return "what answers there does not speak TLS: is the port right?"
	case errors.As(err, &noHost) && noHost.IsNotFound:
		return "there is no such host: is there a typing mistake, or is it known only within another network?"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: is the issuer running, and is the port right?"
	case errors.As(err, &status):
		return ofStatus(status.StatusCode)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer came in time: does a firewall or a proxy stand between (HTTPS_PROXY)?"
	case errors.Is(err, strictjson.ErrSyntax):
		return "what came is no such document: is this the address of a web page?"
	}
	return ""
}

// ofStatus tells what most often is behind an answer that is not 200.
func ofStatus(code int) string {
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return "an issuer shows this to everyone: something stands before it and asks for a login"
	case code == http.StatusTooManyRequests:
		return "the issuer was asked too often: try again later"
	case 400 <= code && code < 500:
		return "there is nothing at that address: compare -issuer with the iss of a token; an issuer without discovery needs its key set's address (-jwks-url, jwks.Config.URL)"
	default:
		return "the issuer has a failure of its own: try again later"
	}
}
