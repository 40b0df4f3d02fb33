package middleware_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/stretchr/testify/require"
)

const (
	stronger = `Bearer realm="api", error="insufficient_user_authentication", error_description="a stronger authentication is needed"`
	newer    = `Bearer realm="api", error="insufficient_user_authentication", error_description="a more recent authentication is needed"`
)

// RFC 9470 §3, §4: what does not satisfy is answered with 401 and the whole of what
// would.
func TestRepliesOfRFC9470(t *testing.T) {
	acr, age := middleware.ACR, middleware.MaxAuthAge
	read := middleware.Scopes(scope.Any("admin").Or(scope.All("read", "labs")))
	tests := []struct {
		name         string
		requirements []middleware.Requirement
		claims       string // <now> and <old> are dates, of now and of an hour ago
		status       int
		challenge    string
	}{
		{"the class", []middleware.Requirement{acr("mfa")}, `{"acr":"mfa"}`, 200, ""},
		{"the second class", []middleware.Requirement{acr("phr", "mfa")}, `{"acr":"mfa"}`, 200, ""},
		{"another class", []middleware.Requirement{acr("phr", "mfa")}, `{"acr":"pwd"}`, 401, stronger + `, acr_values="phr mfa"`},
		{"a class in other letters", []middleware.Requirement{acr("mfa")}, `{"acr":"MFA"}`, 401, stronger + `, acr_values="mfa"`},
		{"both classes in one text", []middleware.Requirement{acr("phr", "mfa")}, `{"acr":"phr mfa"}`, 401, stronger + `, acr_values="phr mfa"`},
		{"no class", []middleware.Requirement{acr("mfa")}, `{}`, 401, stronger + `, acr_values="mfa"`},
		{"an empty class", []middleware.Requirement{acr("mfa")}, `{"acr":""}`, 401, stronger + `, acr_values="mfa"`},
		{"a class that is a number", []middleware.Requirement{acr("1")}, `{"acr":1}`, 401, stronger + `, acr_values="1"`},
		{"a class that is null", []middleware.Requirement{acr("null")}, `{"acr":null}`, 401, stronger + `, acr_values="null"`},
		{"classes in an array", []middleware.Requirement{acr("mfa")}, `{"acr":["mfa"]}`, 401, stronger + `, acr_values="mfa"`},
		{"a class that is a URL", []middleware.Requirement{acr("https://example.com/acr/2")}, `{"acr":"https://example.com/acr/1"}`, 401, stronger + `, acr_values="https://example.com/acr/2"`},

		{"a login of now", []middleware.Requirement{age(time.Minute)}, `{"auth_time":<now>}`, 200, ""},
		{"an old login", []middleware.Requirement{age(time.Minute)}, `{"auth_time":<old>}`, 401, newer + `, max_age="60"`},
		{"an old login, a day allowed", []middleware.Requirement{age(24 * time.Hour)}, `{"auth_time":<old>}`, 200, ""},
		{"no time", []middleware.Requirement{age(90 * time.Second)}, `{}`, 401, newer + `, max_age="90"`},
		{"a time that is a text", []middleware.Requirement{age(time.Minute)}, `{"auth_time":"<now>"}`, 401, newer + `, max_age="60"`},
		{"a time that is null", []middleware.Requirement{age(time.Minute)}, `{"auth_time":null}`, 401, newer + `, max_age="60"`},
		{"a time that is an array", []middleware.Requirement{age(time.Minute)}, `{"auth_time":[<now>]}`, 401, newer + `, max_age="60"`},
		{"a time below zero", []middleware.Requirement{age(time.Minute)}, `{"auth_time":-1}`, 401, newer + `, max_age="60"`},
		{"time zero", []middleware.Requirement{age(time.Minute)}, `{"auth_time":0}`, 401, newer + `, max_age="60"`},
		{"a time beyond all dates", []middleware.Requirement{age(time.Minute)}, `{"auth_time":1e30}`, 401, newer + `, max_age="60"`},
		{"when the token was issued is no login", []middleware.Requirement{age(time.Minute)}, `{"iat":<now>}`, 401, newer + `, max_age="60"`},

		{"class and time", []middleware.Requirement{acr("mfa"), age(time.Minute)}, `{"acr":"mfa","auth_time":<now>}`, 200, ""},
		{"the class of two", []middleware.Requirement{acr("mfa"), age(time.Minute)}, `{"auth_time":<now>}`, 401, stronger + `, acr_values="mfa", max_age="60"`},
		{"the time of two", []middleware.Requirement{acr("mfa"), age(time.Minute)}, `{"acr":"mfa","auth_time":<old>}`, 401, newer + `, acr_values="mfa", max_age="60"`},
		{"neither, time first", []middleware.Requirement{age(time.Minute), acr("mfa")}, `{}`, 401, newer + `, acr_values="mfa", max_age="60"`},
		{"the shortest of several ages", []middleware.Requirement{age(time.Hour), age(time.Minute), age(24 * time.Hour)}, `{}`, 401, newer + `, max_age="60"`},
		{"a later class of two", []middleware.Requirement{acr("mfa", "phr"), acr("phr")}, `{"acr":"mfa"}`, 401, stronger + `, acr_values="phr"`},

		{"a scope as well, and it is there", []middleware.Requirement{read, acr("mfa")}, `{"scope":"read labs"}`, 401, stronger + `, scope="read labs", acr_values="mfa"`},
		{"a scope as well, another alternative", []middleware.Requirement{acr("mfa"), read}, `{"scope":"admin"}`, 401, stronger + `, scope="admin", acr_values="mfa"`},
		{"a scope as well, and it is missing too", []middleware.Requirement{acr("mfa"), read}, `{"scope":""}`, 401, stronger + `, scope="admin", acr_values="mfa"`},
		{"the scope is missing and comes first", []middleware.Requirement{read, acr("mfa")}, `{}`, 403, lacking + `"admin"`},
		{"another requirement comes first", []middleware.Requirement{middleware.Clients("portal"), acr("mfa")}, `{}`, 403, denied},
		{"by method", []middleware.Requirement{
			middleware.ByMethod(map[string]middleware.Requirement{"GET": acr("mfa"), "PUT": acr("phr")}), age(time.Minute), read,
		}, `{"scope":"read labs"}`, 401, stronger + `, scope="read labs", acr_values="mfa", max_age="60"`},
	}
	issuer := authtest.NewIssuer(t)
	validator := issuer.Validator(audience)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen []middleware.Decision
			h := middleware.New(validator, noting(&seen)).Require(tt.requirements...)(ok)
			r := request()
			issuer.Authorize(r, withClaims(t, dated(tt.claims))...)
			w := serve(h, r)
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.challenge, challengeOf(w))
			if tt.status == 401 {
				require.Equal(t, middleware.ErrInsufficientUserAuthentication, seen[0].Reason)
				require.ErrorIs(t, seen[0].Refusal, middleware.ErrInsufficientUserAuthentication)
				require.Contains(t, w.Body.String(), `"error":"insufficient_user_authentication"`)
			}
		})
	}
}

// dated puts dates into the places for them.
func dated(text string) string {
	now := time.Now()
	return strings.NewReplacer("<now>", fmt.Sprint(now.Unix()), "<old>", fmt.Sprint(now.Add(-time.Hour).Unix())).Replace(text)
}

// Only the code of RFC 9470 has its parameters.
func TestWhoHasNoGoodTokenIsNotAskedToStepUp(t *testing.T) {
	h := middleware.New(&tokens{}).Require(middleware.ACR("mfa"), middleware.MaxAuthAge(time.Minute), middleware.Scopes(scope.All("read")))(ok)
	require.Equal(t, `Bearer realm="api", scope="read"`, challengeOf(serve(h, request())))
	require.Equal(t, invalidToken+`, scope="read"`, challengeOf(serve(h, request("Bearer bad"))))
}

func TestTheAgeOfALogin(t *testing.T) {
	tests := []struct {
		name  string
		age   time.Duration // of the login, when the request comes
		met   bool
		limit time.Duration
	}{
		{"none", 0, true, time.Minute},
		{"a moment too old", time.Minute + 1, false, time.Minute},
		{"as old as may be", time.Minute, true, time.Minute},
		{"a moment younger", time.Minute - 1, true, time.Minute},
		{"by a clock that is ahead", -time.Minute, true, time.Second},
		{"by a clock that is too far ahead", -time.Minute - 1, false, time.Second},
		{"far ahead", -24 * time.Hour, false, 48 * time.Hour},
		{"older than a Duration can say", 1 << 62, false, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guard := saying(claims.Claims{AuthTime: time.Now().Add(-tt.age)})
				w := serve(guard.Require(middleware.MaxAuthAge(tt.limit))(ok), sent("GET", "/"))
				require.Equal(t, tt.met, w.Code == 200, challengeOf(w))
			})
		})
	}
}

// With a real token, whose date is in whole seconds or has a fraction.
func TestALoginGrowsOld(t *testing.T) {
	for _, fraction := range []time.Duration{0, 500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			issuer := authtest.NewIssuer(t)
			h := middleware.New(issuer.Validator(audience)).Require(middleware.MaxAuthAge(5 * time.Minute))(ok)
			time.Sleep(fraction)
			r := request()
			issuer.Authorize(r, authtest.Claim("auth_time", float64(time.Now().UnixMilli())/1000))
			require.Equal(t, 200, serve(h, r).Code)
			time.Sleep(5 * time.Minute)
			require.Equal(t, 200, serve(h, r).Code)
			time.Sleep(time.Nanosecond)
			w := serve(h, r)
			require.Equal(t, 401, w.Code)
			require.Equal(t, newer+`, max_age="300"`, challengeOf(w))
		})
	}
}

func TestTheShortestAgeIsAskedFor(t *testing.T) {
	for _, tt := range []struct {
		own, route time.Duration
		want       string
	}{{10 * time.Second, time.Minute, "10"}, {time.Hour, time.Minute, "60"}, {0, time.Minute, "60"}} {
		own := failing(&middleware.Error{Status: 401, Code: middleware.CodeInsufficientUserAuthentication, MaxAge: tt.own})
		w := serve(saying(claims.Claims{}).Require(own, middleware.MaxAuthAge(tt.route))(ok), sent("GET", "/"))
		require.Equal(t, `Bearer realm="api", error="insufficient_user_authentication", max_age="`+tt.want+`"`, challengeOf(w))
	}
}

func TestTheLogTellsWhyALoginIsNotEnough(t *testing.T) {
	age := middleware.MaxAuthAge(time.Minute)
	tests := []struct {
		requirement middleware.Requirement
		claims      claims.Claims
		want        string
	}{
		{middleware.ACR("mfa"), claims.Claims{}, "the token does not say how the user has logged in (acr is missing)"},
		{middleware.ACR("mfa"), claims.Claims{ACR: "private"}, "the user has logged in in another way (acr)"},
		{age, claims.Claims{}, "the token does not say when the user has logged in (auth_time is missing)"},
		{age, claims.Claims{AuthTime: time.Unix(1, 0)}, "the user's login is too long ago (auth_time)"},
		{age, claims.Claims{AuthTime: time.Now().Add(time.Hour)}, "the user's login is in the future (auth_time): a clock is wrong"},
	}
	for _, tt := range tests {
		var seen []middleware.Decision
		serve(saying(tt.claims, noting(&seen)).Require(tt.requirement)(ok), sent("GET", "/"))
		require.EqualError(t, seen[0].Refusal.Err, "middleware: the user's authentication is insufficient: "+tt.want)
	}
}
