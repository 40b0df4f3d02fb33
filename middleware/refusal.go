package middleware

import (
	"errors"
	"net/http"
)

// Refuse answers a request as where a requirement had returned err ([Requirement] says
// with which status), for a handler that finds out late that it must refuse: it has
// asked the issuer about the user, say, or a database that does not answer. The
// challenge, Retry-After and the error handler are as usual; a 401 names the scopes that
// the guards before have asked for as well.
//
// Besides, an error that wraps [ErrNoToken] is answered as where a token is missing, with
// 401, if the request has none: that is for handlers behind [Guard.Optional].
//
//	user, err := users.Profile(r.Context())
//	if err != nil {
//		guard.Refuse(w, r, err)
//		return
//	}
//
// Call it before anything is written, with the handler's own w and r, and return then. It
// answers the error of [Guard.Check] too, where no guard stands before. A nil err refuses
// as any other does.
//
// Observers hear of it, since the client is not told of err and nobody else would learn
// of it. It is a decision of its own, after the one that has let the request through;
// its Requirement is "the handler", and its Policy has nothing, since what the route
// asks for was met.
func (g *Guard) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	if g.validator == nil { // a zero value, which is no reason to let anybody in
		g = &Guard{realm: "api", errorHandler: writeError}
	}
	v := verdict{began: g.start(r), failed: handler{}}
	if there, _ := r.Context().Value(passageKey{}).(*passage); there != nil && there.guard == g {
		v.passage, v.met = there, there.met
	}
	switch e := (*Error)(nil); {
	case err == nil:
		v.refusal = accessDenied(errors.New("Refuse was given no error"))
	case v.passage == nil && !errors.As(err, &e) && errors.Is(err, ErrNoToken):
		v.refusal = missingToken(err)
	default:
		v.refusal = refusalOf(err)
	}
	// What the handler has set for an answer of its own would be taken for that of this one.
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Content-Disposition", "Content-Range", "Etag", "Last-Modified"} {
		w.Header().Del(name)
	}
	p := protected{guard: g}
	p.conclude(r, &v)
	g.tell(r, p.policy, &v)
	p.refuse(w, r, v.refusal)
}

// A handler stands for a requirement that is not met, where it refuses by itself.
type handler struct{ Requirement }

func (handler) String() string { return "the handler" }
