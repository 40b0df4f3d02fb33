package middleware

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/internal/known"
	"github.com/bearerguard/bearerguard/internal/wiring"
	"github.com/bearerguard/bearerguard/scope"
)

// A Requirement is what a route asks of a request beyond a good access token.
// [Scopes], [Clients], [Issuers], [Machine], [User], [NotMachine], [Claim], [ACR],
// [MaxAuthAge] and [ByMethod] make the usual ones, [Func] one of your own.
type Requirement interface {
	// Check returns nil where the request and the claims of its token meet the
	// requirement. It must not change the claims. The request's context has what the
	// handler's will have, also for [TokenFromContext]. An error refuses the request:
	//
	//   - an *[Error] with a status of 400 to 599 as it says;
	//   - one that wraps [ErrUnavailable], claims.ErrUnavailable or the end of a
	//     context, with 503;
	//   - any other with 403 and access_denied. It goes to the observer, and
	//     never to the client.
	Check(r *http.Request, c *claims.Claims) error

	// String describes the requirement in a few words, for policies and logs.
	String() string
}

// Scopes returns the requirement that a token's scopes satisfy the rule. Where
// they do not, the answer is 403 and insufficient_scope, and names all the
// scopes of the alternative that the token comes closest to (RFC 6750 §3.1), with
// those of the other requirements that the guard has for the request.
//
// Closest is the alternative with the fewest scopes missing, and of those the one
// that is written first; without a token, that is the shortest. So of
// Any("admin").Or(All("read:patients", "read:labs")) it is admin: where clients ask
// for what challenges name, such an alternative has them ask for more than they need.
//
// It panics if the rule is the zero one, which nothing satisfies.
func Scopes(rule scope.Rule) Requirement {
	if rule.Closest(scope.Set{}).Len() == 0 {
		panic("middleware: Scopes was given an empty rule; make one with scope.All or scope.Any")
	}
	return scopes{rule}
}

type scopes struct{ rule scope.Rule }

func (s scopes) Check(_ *http.Request, c *claims.Claims) error {
	if s.rule.Allows(c.Scope) {
		return nil
	}
	return insufficientScope(s.rule, c.Scope)
}

func (s scopes) String() string { return "scope " + s.rule.String() }

func (s scopes) needs(_ *http.Request, have scope.Set) needs {
	return needs{scope: s.rule.Closest(have)}
}

// Clients returns the requirement that the token was issued to one of these
// clients, which the issuer says in client_id, azp or the like: see
// claims.Claims.ClientID. It panics if there is none, or one is empty.
//
// A client's ID is unique within its issuer only. Where a validator trusts several
// (claims.WithIssuer), another issuer may have a client of the same ID, which gets in
// here too: ask for [Issuers] as well.
func Clients(ids ...string) Requirement {
	return clients(texts("Clients", ids))
}

type clients []string

func (ids clients) Check(_ *http.Request, c *claims.Claims) error {
	switch {
	case c.ClientID == "":
		return errors.New("the token does not say which client it was issued to")
	case !slices.Contains(ids, c.ClientID):
		return errors.New("the token was issued to another client")
	}
	return nil
}

func (ids clients) String() string { return "client " + strings.Join(ids, " or ") }

// Issuers returns the requirement that the token is from one of these issuers, by
// their identifiers, compared as they are: for a route that takes fewer issuers than
// the validator trusts (claims.WithIssuer).
//
//	guard.Require(middleware.Issuers("https://login.example.com/"), middleware.Clients("portal"))
//
// It trusts nobody whom the validator does not: a validator that tells whom it trusts,
// by a method Issuers() []string as a *claims.Validator has, is asked at wiring, and
// [Guard.Require] panics if one of these is not among them, since a typo, or a slash
// that is missing, would refuse every request. So Issuers stands in Require itself or in
// a [ByMethod]: in a requirement of one's own it is not seen.
//
// It panics if there is none, or one is empty.
func Issuers(ids ...string) Requirement {
	return issuers(texts("Issuers", ids))
}

type issuers []string

func (ids issuers) Check(_ *http.Request, c *claims.Claims) error {
	if !slices.Contains(ids, c.Issuer) { // an empty one is never among them
		return errors.New("the token is from an issuer that this route does not take")
	}
	return nil
}

// checkTrusted panics if the validator says that it does not trust one of the issuers
// that the requirement names.
func checkTrusted(v Validator, requirement Requirement) {
	switch r := requirement.(type) {
	case byMethod:
		for _, method := range slices.Sorted(maps.Keys(r)) {
			checkTrusted(v, r[method])
		}
	case issuers:
		tells, ok := v.(interface{ Issuers() []string })
		if !ok {
			return
		}
		trusted := tells.Issuers()
		for _, id := range r {
			if len(trusted) == 0 || slices.Contains(trusted, id) { // one that names none does not tell
				continue
			}
			hint := ""
			if wiring.BySlash(id, func(name string) bool { return slices.Contains(trusted, name) }) != "" {
				hint = "; they differ in the slash at the end, and issuers are compared as they are"
			}
			panic(fmt.Sprintf("middleware: Issuers(%q): the validator does not trust it, so nobody could meet that: it trusts %s%s", id, quoted(trusted, " and "), hint))
		}
	}
}

func (ids issuers) String() string { return "issuer " + strings.Join(ids, " or ") }

// Machine returns the requirement that the token speaks of a machine: of the client
// itself, without a user. It goes by signs that the issuer gives, see
// claims.Claims.SubjectKind: a token without any is refused, and so is one with signs
// of both.
//
// It cannot see through an issuer that lets users choose a sub which is the ID of
// their client. Where machines may do more than users, ask for a scope as well that
// only machines are granted, or for [Clients] that no user logs in by.
func Machine() Requirement { return machine{} }

type machine struct{}

func (machine) Check(_ *http.Request, c *claims.Claims) error {
	if c.SubjectKind() != claims.MachineSubject {
		return errors.New("the token has no sign of a machine")
	}
	return nil
}

func (machine) String() string { return "a machine" }

// User returns the requirement that the token speaks of a user, and has no sign of a
// machine: see claims.Claims.SubjectKind for both. A token without any sign is refused,
// so that nothing gets in that nobody knows. Whether that suits depends on what an
// issuer writes into its tokens:
//
//	                    a user's token says        a machine's token says
//	Auth0               nothing                    gty, or the client in sub
//	Okta                auth_time                  the client in sub
//	Entra ID            name, amr (v1.0), idtyp    idtyp, or nothing
//	Keycloak            sid, auth_time             service-account-…, or nothing
//	Cognito             auth_time                  the client in sub
//	Duende              auth_time, amr             nothing
//	FusionAuth          auth_time, sid             nothing
//	Ory Hydra           nothing                    the client in sub
//	ZITADEL             nothing                    nothing
//
// Where users' tokens say nothing, User refuses users, and [NotMachine] tells the two
// apart if machines' tokens say something. Where machines' tokens say nothing,
// NotMachine lets machines in, and User does not. Where neither does, ask for a scope
// or a claim that only users are granted.
//
// Entra ID has idtyp as an optional claim of the API's registration: switch it on.
// Keycloak's service accounts have a preferred_username where their client has the scope
// profile, and clientHost where it has service_account; its lightweight tokens of users
// have sid all the same. So have service accounts whose client uses refresh tokens for
// the client credentials grant: with neither of these scopes, they pass for users.
func User() Requirement { return user{} }

type user struct{}

func (user) Check(_ *http.Request, c *claims.Claims) error {
	switch {
	case known.HasSignOfMachine(c):
		return errors.New("the token has the sign of a machine")
	case c.SubjectKind() != claims.UserSubject:
		return errors.New("the token has no sign of a user")
	}
	return nil
}

func (user) String() string { return "a user" }

// NotMachine returns the requirement that the token has no sign of a machine, whatever
// it says of a user besides: see claims.Claims.SubjectKind for the signs. A machine's
// token without any sign gets through, and a user who is called as the client or its
// service account does not. [User] is the stricter one, and says which issuers give
// which signs.
func NotMachine() Requirement { return notMachine{} }

type notMachine struct{}

func (notMachine) Check(_ *http.Request, c *claims.Claims) error {
	if known.HasSignOfMachine(c) {
		return errors.New("the token has the sign of a machine")
	}
	return nil
}

func (notMachine) String() string { return "no machine" }

// texts returns a copy of what was given to the named function, or panics: an
// empty text is a setting that somebody forgot, and would let tokens in that lack
// the claim's value as well.
func texts(function string, values []string) []string {
	if len(values) == 0 || slices.Contains(values, "") {
		panic("middleware: " + function + " needs at least one value, and none that is empty")
	}
	return slices.Clone(values)
}

// Func returns a requirement that is met where check returns nil; see
// [Requirement] for what its error does. The name tells in a few words what is
// asked for, for policies and logs. It panics if the name is empty or check is nil.
func Func(name string, check func(*http.Request, *claims.Claims) error) Requirement {
	if name == "" || check == nil {
		panic("middleware: Func needs a name and a function")
	}
	return function{name, check}
}

type function struct {
	name  string
	check func(*http.Request, *claims.Claims) error
}

func (f function) Check(r *http.Request, c *claims.Claims) error { return f.check(r, c) }
func (f function) String() string                                { return f.name }

// ByMethod returns a requirement that depends on the request's method, for a route
// that answers several:
//
//	guard.Require(middleware.ByMethod(map[string]middleware.Requirement{
//		"GET": middleware.Scopes(scope.All("read:patients")),
//		"PUT": middleware.Scopes(scope.All("write:patients")),
//	}))
//
// GET stands for HEAD too, where that is not named. A request with a method that
// is not named is refused with 403. It panics if there is no method, one is not in
// upper case, or a requirement is nil.
func ByMethod(requirements map[string]Requirement) Requirement {
	if len(requirements) == 0 {
		panic("middleware: ByMethod needs at least one method")
	}
	for method, requirement := range requirements {
		switch {
		case method == "" || method != strings.ToUpper(method):
			panic(fmt.Sprintf("middleware: ByMethod was given the method %q: it must be in upper case, such as GET", method))
		case wiring.IsNil(requirement):
			panic("middleware: ByMethod was given a nil requirement for " + method)
		}
	}
	return byMethod(maps.Clone(requirements))
}

type byMethod map[string]Requirement

func (m byMethod) Check(r *http.Request, c *claims.Claims) error {
	requirement := m.of(r)
	if requirement == nil {
		return errors.New("the route has no requirement for this method")
	}
	return requirement.Check(r, c)
}

// of returns the requirement for a request, nil where there is none.
func (m byMethod) of(r *http.Request) Requirement {
	if requirement, ok := m[r.Method]; ok || r.Method != http.MethodHead {
		return requirement
	}
	return m[http.MethodGet]
}

// behindMethod returns the requirement that a [ByMethod] has for the request, or the
// given one where it is none.
func behindMethod(requirement Requirement, r *http.Request) Requirement {
	for {
		m, ok := requirement.(byMethod)
		if !ok {
			return requirement
		}
		requirement = m.of(r)
	}
}

func (m byMethod) needs(r *http.Request, have scope.Set) needs {
	if r == nil {
		return needs{varies: true}
	}
	if n, ok := m.of(r).(needer); ok {
		return n.needs(r, have)
	}
	return needs{}
}

func (m byMethod) String() string {
	words := make([]string, 0, len(m))
	for _, method := range slices.Sorted(maps.Keys(m)) {
		words = append(words, fmt.Sprintf("%s: %s", method, m[method]))
	}
	return strings.Join(words, "; ")
}

// meet returns the first requirement that a request with a good token does not
// meet, and the refusal.
func meet(requirements []Requirement, r *http.Request, c *claims.Claims) (Requirement, *Error) {
	for _, requirement := range requirements {
		shown := c
		if !isOwn(behindMethod(requirement, r)) { // it might change them
			shown = copyOf(c)
		}
		if err := requirement.Check(r, shown); err != nil {
			return requirement, refusalOf(err)
		}
	}
	return nil, nil
}

// isOwn reports whether the requirement is one of this package, and none of its code
// is somebody else's.
func isOwn(requirement Requirement) bool {
	switch requirement.(type) {
	case scopes, clients, issuers, machine, user, notMachine, claim, acr, maxAuthAge:
		return true
	default:
		return false
	}
}
