package bench

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	jwtmiddleware "github.com/auth0/go-jwt-middleware/v3"
	auth0jwks "github.com/auth0/go-jwt-middleware/v3/jwks"
	"github.com/auth0/go-jwt-middleware/v3/validator"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/httprc/v3"
	jwkv2 "github.com/lestrrat-go/jwx/v2/jwk"
	jwtv2 "github.com/lestrrat-go/jwx/v2/jwt"
	jwkv3 "github.com/lestrrat-go/jwx/v3/jwk"
	jwtv3 "github.com/lestrrat-go/jwx/v3/jwt"
)

// A Peer is what a user would otherwise pick: a library, used as its documentation
// says, with its cached key set, the issuer, the audience and the algorithm of the
// scene. What a library leaves to its user, such as the scope, is written the way
// its documentation or the shortest code has it.
type Peer struct {
	Name    string   // in the names of benchmarks
	Modules []string // that it is made of

	// Protect returns next behind what the peer has to check a token. Keys are
	// fetched before it returns, and again as the peer sees fit until ctx ends.
	Protect func(ctx context.Context, s *Scene, next http.Handler) (http.Handler, error)
}

// Peers are all peers.
var Peers = []Peer{
	{"go-jwt-middleware-v3", []string{"github.com/auth0/go-jwt-middleware/v3"}, auth0},
	{"keyfunc-v3", []string{"github.com/MicahParks/keyfunc/v3", "github.com/golang-jwt/jwt/v5"}, golangJWT},
	{"go-oidc-v3", []string{"github.com/coreos/go-oidc/v3"}, goOIDC},
	{"go-jose-v4", []string{"github.com/go-jose/go-jose/v4"}, goJOSE},
	{"jwx-v2", []string{"github.com/lestrrat-go/jwx/v2"}, jwxV2},
	{"jwx-v3", []string{"github.com/lestrrat-go/jwx/v3"}, jwxV3},
}

// scopes is the claim that has a token's scopes.
type scopes struct {
	Scope string `json:"scope"`
}

func (s *scopes) has(scope string) bool { return slices.Contains(strings.Split(s.Scope, " "), scope) }

// Validate implements validator.CustomClaims of go-jwt-middleware.
func (s *scopes) Validate(context.Context) error { return nil }

func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

func unauthorized(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) }

func forbidden(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) }

// auth0 is as in "Production Example with JWKS and Auth0" and "Custom Claims" of
// the README of go-jwt-middleware.
func auth0(_ context.Context, s *Scene, next http.Handler) (http.Handler, error) {
	issuer, err := url.Parse(Issuer)
	if err != nil {
		return nil, err
	}
	provider, err := auth0jwks.NewCachingProvider(auth0jwks.WithIssuerURL(issuer), auth0jwks.WithCustomClient(s.Client()))
	if err != nil {
		return nil, err
	}
	v, err := validator.New(
		validator.WithKeyFunc(provider.KeyFunc),
		validator.WithAlgorithm(validator.RS256),
		validator.WithIssuer(Issuer),
		validator.WithAudience(Audience),
		validator.WithCustomClaims(func() *scopes { return &scopes{} }),
	)
	if err != nil {
		return nil, err
	}
	middleware, err := jwtmiddleware.New(jwtmiddleware.WithValidator(v))
	if err != nil {
		return nil, err
	}
	return middleware.CheckJWT(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, err := jwtmiddleware.GetClaims[*validator.ValidatedClaims](r.Context())
		if err != nil {
			unauthorized(w)
			return
		}
		if custom, ok := claims.CustomClaims.(*scopes); !ok || !custom.has(Scope) {
			forbidden(w)
			return
		}
		next.ServeHTTP(w, r)
	})), nil
}

// golangJWT is as in "Basic usage" of the README of keyfunc, with the options of
// golang-jwt's parser for what is to be checked.
func golangJWT(ctx context.Context, s *Scene, next http.Handler) (http.Handler, error) {
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{keySetURL}, keyfunc.Override{Client: s.Client()})
	if err != nil {
		return nil, err
	}
	type claims struct {
		jwt.RegisteredClaims
		scopes
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithIssuer(Issuer), jwt.WithAudience(Audience), jwt.WithExpirationRequired())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var c claims
		switch _, err := parser.ParseWithClaims(bearer(r), &c, keys.Keyfunc); {
		case err != nil:
			unauthorized(w)
		case !c.has(Scope):
			forbidden(w)
		default:
			next.ServeHTTP(w, r)
		}
	}), nil
}

// goOIDC is as in the package doc of go-oidc, where the audience is the API's
// identifier instead of the client's.
func goOIDC(ctx context.Context, s *Scene, next http.Handler) (http.Handler, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, s.Client()), Issuer)
	if err != nil {
		return nil, err
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: Audience})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := verifier.Verify(r.Context(), bearer(r))
		if err != nil {
			unauthorized(w)
			return
		}
		var c scopes
		if err := token.Claims(&c); err != nil || !c.has(Scope) {
			forbidden(w)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

// goJOSE is as in the examples of the package jwt of go-jose, with a key set that
// was fetched before: to refetch it is left to the user.
func goJOSE(_ context.Context, s *Scene, next http.Handler) (http.Handler, error) {
	response, err := s.Client().Get(keySetURL)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var keys jose.JSONWebKeySet
	if err := json.NewDecoder(response.Body).Decode(&keys); err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := josejwt.ParseSigned(bearer(r), []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			unauthorized(w)
			return
		}
		var registered josejwt.Claims
		var custom scopes
		if err := token.Claims(&keys, &registered, &custom); err != nil {
			unauthorized(w)
			return
		}
		expected := josejwt.Expected{Issuer: Issuer, AnyAudience: josejwt.Audience{Audience}, Time: time.Now()}
		switch err := registered.Validate(expected); {
		case err != nil:
			unauthorized(w)
		case !custom.has(Scope):
			forbidden(w)
		default:
			next.ServeHTTP(w, r)
		}
	}), nil
}

// jwxV2 is as in "Auto-refreshing remote keys" of jwx's docs/04-jwk.md and "Parse
// and Verify a JWT (with a key set)" of docs/01-jwt.md.
func jwxV2(ctx context.Context, s *Scene, next http.Handler) (http.Handler, error) {
	cache := jwkv2.NewCache(ctx)
	if err := cache.Register(keySetURL, jwkv2.WithHTTPClient(s.Client())); err != nil {
		return nil, err
	}
	if _, err := cache.Refresh(ctx, keySetURL); err != nil {
		return nil, err
	}
	keys := jwkv2.NewCachedSet(cache, keySetURL)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := jwtv2.Parse([]byte(bearer(r)), jwtv2.WithKeySet(keys), jwtv2.WithIssuer(Issuer),
			jwtv2.WithAudience(Audience), jwtv2.WithRequiredClaim(jwtv2.ExpirationKey))
		if err != nil {
			unauthorized(w)
			return
		}
		granted, _ := token.Get("scope")
		text, _ := granted.(string)
		if c := (scopes{text}); !c.has(Scope) {
			forbidden(w)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

// jwxV3 is the same for the next major version.
func jwxV3(ctx context.Context, s *Scene, next http.Handler) (http.Handler, error) {
	cache, err := jwkv3.NewCache(ctx, httprc.NewClient())
	if err != nil {
		return nil, err
	}
	if err := cache.Register(ctx, keySetURL, jwkv3.WithHTTPClient(s.Client())); err != nil {
		return nil, err
	}
	keys, err := cache.CachedSet(keySetURL)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := jwtv3.Parse([]byte(bearer(r)), jwtv3.WithKeySet(keys), jwtv3.WithIssuer(Issuer),
			jwtv3.WithAudience(Audience), jwtv3.WithRequiredClaim(jwtv3.ExpirationKey))
		if err != nil {
			unauthorized(w)
			return
		}
		var c scopes
		if err := token.Get("scope", &c.Scope); err != nil || !c.has(Scope) {
			forbidden(w)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}
