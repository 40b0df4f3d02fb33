package middleware

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/scope"
)

// ResourceMetadata is what an API says of itself, so that a client which knows
// only its address finds out where to get an access token (RFC 9728 §2).
type ResourceMetadata struct {
	// Resource is the API's resource identifier: the https URL that clients call
	// it by, without a fragment. Empty means the audience of the validator, where
	// that is such a URL; of several issuers (claims.WithIssuer), that of the first.
	Resource string

	// AuthorizationServers are the issuer identifiers of those that give access
	// tokens for the API. Nil means the issuers of the validator, all of them.
	//
	// The metadata have one resource, and a client may ask any of these for a token
	// for it (RFC 8707). So where an issuer knows the API by another audience than
	// Resource, leave it out here, or have it know Resource too: as an alias in its
	// Config (claims.Config.AudienceAliases). Else clients that choose it get tokens
	// that the API refuses.
	AuthorizationServers []string

	// Scopes are those that a client may ask for. Nil means all that the routes of
	// the guard ask for; an empty list none.
	Scopes []string

	// Name is the name of the API, for people; empty where it needs none.
	Name string

	// Documentation, Policy and Terms are URLs of pages for people: for developers,
	// on how the API's data may be used, and its terms of service. Each may be
	// empty.
	Documentation, Policy, Terms string
}

// wellKnown is where the metadata are, before the path of the resource (RFC 9728
// §3).
const wellKnown = "/.well-known/oauth-protected-resource"

// WithResourceMetadata has challenges name the URL of the API's metadata, in
// resource_metadata (RFC 9728 §5.1), which [Guard.ResourceMetadata] serves. This is
// what clients of the Model Context Protocol need, among others.
//
// It panics if a field is not as it should be, and where it is empty and the
// validator does not know: one of package claims does.
func WithResourceMetadata(m ResourceMetadata) Option {
	return Option{func(g *Guard) {
		m := m // what is filled in is this guard's alone
		if m.Resource == "" {
			if v, ok := g.validator.(interface{ Audience() string }); ok {
				m.Resource = v.Audience()
			}
		}
		resource, err := url.Parse(m.Resource)
		if err != nil || resource.Scheme != "https" || resource.Hostname() == "" || resource.User != nil || strings.ContainsAny(m.Resource, "# <>{}|^`") || !isQuotable(m.Resource) || hasDotSegment(resource.Path) {
			panic(fmt.Sprintf("middleware: WithResourceMetadata: the resource is %q: set Resource to the https URL that clients call the API by, without a fragment (RFC 9728 §1.2)", m.Resource))
		}
		if m.AuthorizationServers == nil {
			if v, ok := g.validator.(interface{ Issuers() []string }); ok {
				m.AuthorizationServers = v.Issuers()
			}
		}
		if len(m.AuthorizationServers) == 0 || slices.Contains(m.AuthorizationServers, "") {
			panic("middleware: WithResourceMetadata: the validator does not tell its issuers: set AuthorizationServers")
		}
		for _, page := range []string{m.Documentation, m.Policy, m.Terms} {
			if u, err := url.Parse(page); page != "" && (err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http")) {
				panic(fmt.Sprintf("middleware: WithResourceMetadata: %q is not the URL of a page", page))
			}
		}
		if len(m.Scopes) > 0 {
			scope.All(m.Scopes...) // panics at what is none
		}
		m.AuthorizationServers, m.Scopes = slices.Clone(m.AuthorizationServers), slices.Clone(m.Scopes)
		g.metadata = &m
		// Between host and path (RFC 9728 §3.1).
		if resource.Path == "/" {
			resource.Path = ""
		}
		if resource.RawPath != "" {
			resource.RawPath = wellKnown + resource.RawPath
		}
		resource.Path = wellKnown + resource.Path
		g.metadataURL = resource.String()
	}}
}

// ResourceMetadata returns the handler for the API's metadata, and the path at
// which clients look for it: /.well-known/oauth-protected-resource, followed by the
// path of the resource, escaped as in a URL.
//
//	mux.Handle(guard.ResourceMetadata())
//
// It answers GET, HEAD and the OPTIONS of browsers. Where ServeMux has a pattern such
// as "GET /" besides, neither of the two is the narrower one: register it by method,
// with "GET " and "OPTIONS " before the path.
//
// It must stand before any guard, since whoever asks has no token yet. It panics
// without [WithResourceMetadata].
func (g *Guard) ResourceMetadata() (path string, handler http.Handler) {
	if g.metadata == nil {
		panic("middleware: ResourceMetadata needs the option WithResourceMetadata")
	}
	at, err := url.Parse(g.metadataURL)
	if err != nil { // it was made from one
		panic(err)
	}
	return at.EscapedPath(), Public(http.HandlerFunc(g.writeMetadata))
}

func (g *Guard) writeMetadata(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	// It is public, and pages of other origins ask for it too.
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions: // a preflight, of a page that sends a header of its own
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "*")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, "the metadata can only be read", http.StatusMethodNotAllowed)
		return
	}
	body, err := json.Marshal(g.metadataDocument())
	if err != nil { // strings can always be written
		panic(err)
	}
	h.Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // an error means that the client is gone
}

// A metadataDocument is what clients get to read (RFC 9728 §2, §3.2: no empty
// arrays).
type metadataDocument struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	Name                 string   `json:"resource_name,omitempty"`
	Documentation        string   `json:"resource_documentation,omitempty"`
	Policy               string   `json:"resource_policy_uri,omitempty"`
	Terms                string   `json:"resource_tos_uri,omitempty"`
}

func (g *Guard) metadataDocument() metadataDocument {
	m := g.metadata
	document := metadataDocument{
		Resource:             m.Resource,
		AuthorizationServers: m.AuthorizationServers,
		Scopes:               m.Scopes,
		BearerMethods:        []string{"header"},
		Name:                 m.Name,
		Documentation:        m.Documentation,
		Policy:               m.Policy,
		Terms:                m.Terms,
	}
	if g.sources.form {
		document.BearerMethods = append(document.BearerMethods, "body")
	}
	if g.sources.query {
		document.BearerMethods = append(document.BearerMethods, "query")
	}
	if m.Scopes == nil {
		g.mu.Lock()
		document.Scopes = slices.Sorted(g.scopes.Values())
		g.mu.Unlock()
	}
	return document
}
