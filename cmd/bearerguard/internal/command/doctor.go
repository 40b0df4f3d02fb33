package command

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/internal/discovery"
	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/plain"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/jwks"
)

var doctorManual = manual{
	usage: "doctor -issuer URL -audience ID [flags]",
	about: `Doctor asks an issuer what an API would ask it, through the same code, and says
what is wrong, what is odd, and how fast it all was. It needs no token.
`,
	examples: `  bearerguard doctor -issuer https://my-domain.auth0.com/ -audience https://example.com/health-api
  bearerguard doctor -issuer … -audience … -algorithms RS256,ES256
  bearerguard doctor -issuer … -audience … -json | jq '.checks[] | select(.result != "ok")'

exit status: 0 no check failed (there may be warnings), 1 one did, 2 called wrongly
`,
}

// A diagnosis is what doctor prints, as JSON as it stands.
type diagnosis struct {
	Result   verdict     `json:"result"`
	Reason   string      `json:"reason,omitempty"` // of the first check that failed
	Hint     string      `json:"hint,omitempty"`
	Issuer   string      `json:"issuer"`
	Audience string      `json:"audience"`
	Checks   []finding   `json:"checks"`
	Keys     []keyReport `json:"keys,omitempty"`
	Clock    *clockFact  `json:"clock,omitempty"`
	Requests []request   `json:"requests,omitempty"`
}

// A keyReport tells of one key that the set lists.
type keyReport struct {
	ID        string `json:"kid"`
	Algorithm string `json:"alg,omitempty"`
	Bits      int    `json:"bits,omitempty"`
	Usable    bool   `json:"usable"`
	Reason    string `json:"reason,omitempty"` // why it is not used, or what for it is
}

// A request is one that the issuer was asked.
type request struct {
	URL    string  `json:"url"`
	Status int     `json:"status,omitempty"`
	Millis float64 `json:"milliseconds"`
}

// An examiner is one run of doctor.
type examiner struct {
	settings
	watch    *watch
	client   *http.Client
	findings []finding
	keys     []keyReport
	failure  error     // why the issuer's documents could not be had
	keySetBy *exchange // how the key set came; nil where it did not
}

// The checks, in the order in which they are told.
const (
	checkConfiguration = "configuration"
	checkAudience      = "audience"
	checkDiscovery     = "discovery"
	checkIssuer        = "issuer"
	checkKeySet        = "key set"
	checkKeys          = "keys"
	checkTLS           = "TLS"
	checkRedirects     = "redirects"
	checkCaching       = "caching"
	checkClock         = "clock"
)

// What an API does with the defaults of the library.
const (
	fetchTimeout = 5 * time.Second  // jwks.Config.FetchTimeout
	overdue      = 15 * time.Minute // jwks.Config.OverdueAfter
	maxDocument  = 1 << 20          // jwks.Config.MaxSize
)

// What is worth a word.
const (
	slow    = time.Second         // a request that waits so long for keys
	drift   = 5 * time.Second     // clocks that are so far apart
	renewal = 14 * 24 * time.Hour // a certificate that is good for no longer
)

func doctor(ctx context.Context, p *Program, args []string) (int, error) {
	d := examiner{watch: newWatch(p)}
	flags := flag.NewFlagSet("doctor", flag.ContinueOnError)
	d.register(flags)
	if err := p.parse(flags, doctorManual, args); err != nil {
		return 0, err
	}
	if err := d.check(); err != nil {
		return 0, err
	}
	bounded, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	diagnosis := d.examine(bounded)
	if ctx.Err() != nil {
		return 0, errInterrupted
	}
	var err error
	if d.json {
		err = writeJSON(p.Stdout, diagnosis)
	} else {
		page := newPage(p)
		diagnosis.print(page)
		err = page.flush(p.Stdout)
	}
	if diagnosis.Result == bad {
		return exitBad, err
	}
	return exitGood, err
}

// examine runs all checks.
func (d *examiner) examine(ctx context.Context) diagnosis {
	d.client = fetch.NewClient(d.watch.client())
	if d.configuration() {
		d.add(lookAtAudience(d.audience, d.issuer))
		if url, found := d.discover(ctx); found {
			d.keySet(ctx, url)
		} else {
			d.notReached(checkKeySet, checkKeys)
		}
		d.transport()
	} else {
		// What is refused may have a password in it, before an "@".
		if at := strings.LastIndexByte(d.issuer, '@'); at >= 0 {
			d.issuer = "…" + d.issuer[at:]
		}
		d.add(lookAtAudience(d.audience, d.issuer))
		d.notReached(checkDiscovery, checkIssuer, checkKeySet, checkKeys, checkTLS, checkRedirects, checkCaching, checkClock)
	}
	x := diagnosis{
		Result: good,
		Issuer: d.issuer, Audience: d.audience, Checks: d.findings, Keys: d.keys,
		Clock: newClockFact(d.watch.seen()),
	}
	if len(named(failed, x.Checks)) > 0 {
		x.Result = bad
		x.Reason, x.Hint = firstFailure(x.Checks)
	}
	for _, e := range d.watch.seen() {
		x.Requests = append(x.Requests, request{URL: e.url, Status: e.status, Millis: float64(e.took.Microseconds()/100) / 10})
	}
	return x
}

func (d *examiner) add(f finding) { d.findings = append(d.findings, f) }

func (d *examiner) notReached(names ...string) {
	for _, name := range names {
		d.add(finding{Name: name, Result: notReached})
	}
}

// configuration asks the library whether it would take the configuration.
func (d *examiner) configuration() bool {
	remote, err := d.remote(d.watch.client())
	if err == nil {
		_, err = claims.NewValidator(d.config(remote))
	}
	if err != nil {
		d.add(finding{Name: checkConfiguration, Result: failed, Detail: told(err)})
		return false
	}
	if d.insecureHTTP && !fetch.IsHTTPS(d.issuer) {
		d.add(finding{Name: checkConfiguration, Result: warning, Detail: "http is allowed",
			Hint: "whoever is on the way can put in keys of their own and open the API: this is for test networks only"})
		return true
	}
	d.add(finding{Name: checkConfiguration, Result: ok, Detail: "the library takes it; accepted: " + strings.Join(d.accepted(), ", ")})
	return true
}

// discover finds the address of the key set, as a [jwks.Remote] does.
func (d *examiner) discover(ctx context.Context) (keySet string, found bool) {
	if d.keysURL != "" {
		d.add(finding{Name: checkDiscovery, Result: note, Detail: "not asked, since -jwks-url says where the key set is"})
		d.add(finding{Name: checkIssuer, Result: note, Detail: "not compared with anything",
			Hint: "without metadata, only a token's iss tells whether Config.Issuer is right: see explain"})
		return d.keysURL, true
	}
	metadata, err := discovery.Get(ctx, d.client, d.issuer, maxDocument, d.insecureHTTP)
	seen := d.watch.seen()
	switch {
	case errors.Is(err, discovery.ErrIssuer):
		d.add(finding{Name: checkDiscovery, Result: ok, Detail: tell(seen)})
		d.add(finding{Name: checkIssuer, Result: failed, Detail: told(err), Hint: likely(err, d.issuer)})
		return "", false
	case err != nil:
		d.failure = err
		d.add(finding{Name: checkDiscovery, Result: failed, Detail: toldOf(err, seen), Hint: likely(err, d.issuer)})
		d.notReached(checkIssuer)
		return "", false
	case metadata.JWKSURL == "":
		d.add(finding{Name: checkDiscovery, Result: failed, Detail: "the metadata have no jwks_uri, so there is no key to be found",
			Hint: "the issuer must name it, or jwks.Config.URL must (-jwks-url)"})
	case slices.ContainsFunc(seen, func(e exchange) bool { return e.status >= 400 }): // and a second address was asked
		d.add(finding{Name: checkDiscovery, Result: note, Detail: tell(seen),
			Hint: "that is the address of RFC 8414; at OpenID Connect's there is nothing, which costs one request more"})
	default:
		d.add(finding{Name: checkDiscovery, Result: ok, Detail: tell(seen)})
	}
	if detail, hint := lookAtIssuer(d.issuer); detail != "" {
		d.add(finding{Name: checkIssuer, Result: warning, Detail: detail, Hint: hint})
	} else {
		d.add(finding{Name: checkIssuer, Result: ok, Detail: "the metadata name this issuer, to the last slash"})
	}
	return metadata.JWKSURL, metadata.JWKSURL != ""
}

// tell tells of the last exchange.
func tell(exchanges []exchange) string {
	e := exchanges[len(exchanges)-1]
	return fmt.Sprintf("%s: %d in %s", e.url, e.status, plain.Duration(e.took))
}

// toldOf tells of a fetch that failed in these exchanges. Of a page that says 404,
// the text is left out: it tells a person who has lost the way, and nobody else.
func toldOf(err error, exchanges []exchange) string {
	status, answered := errors.AsType[*fetch.StatusError](err)
	if !answered {
		return told(err)
	}
	var all []string
	for _, e := range exchanges {
		if e.status == http.StatusNotFound {
			all = append(all, fmt.Sprintf("GET %s: answered 404 Not Found", e.url))
		}
	}
	if status.StatusCode != http.StatusNotFound {
		all = append(all, status.Error())
	}
	return strings.Join(all, "; ")
}

// keySet fetches the key set and looks at each key, as a [jwks.Remote] does.
func (d *examiner) keySet(ctx context.Context, url string) {
	document, err := fetch.Get(ctx, d.client, url, maxDocument, fetch.Validators{})
	if err != nil {
		d.failure = err
		seen := d.watch.seen()
		d.add(finding{Name: checkKeySet, Result: failed, Detail: toldOf(err, seen[max(0, len(seen)-1):]), Hint: likely(err, d.issuer)})
		d.notReached(checkKeys)
		return
	}
	seen := d.watch.seen()
	d.keySetBy = &seen[len(seen)-1]
	set, err := jwks.ParseSet([]byte(document.Body))
	if set == nil {
		err = document.Invalid(err)
		d.add(finding{Name: checkKeySet, Result: failed, Detail: told(err), Hint: likely(err, d.issuer)})
		d.notReached(checkKeys)
		return
	}
	d.add(d.speed())
	if err != nil {
		d.reportLeftOut(set)
		d.add(finding{Name: checkKeys, Result: failed, Detail: told(err), Hint: "no token can be checked with this set"})
		return
	}
	d.reportKeys(ctx, set)
	d.reportLeftOut(set)
}

// speed tells how fast the issuer was, by what a request has to wait for that
// finds no keys: all of the exchanges.
func (d *examiner) speed() finding {
	var all time.Duration
	seen := d.watch.seen()
	for _, e := range seen {
		all += e.took
	}
	f := finding{Name: checkKeySet, Result: ok, Detail: tell(seen)}
	switch {
	case all > fetchTimeout:
		f.Result, f.Hint = failed, fmt.Sprintf("with the metadata it took %s, and an API gives up after %s: set jwks.Config.FetchTimeout", plain.Duration(all), plain.Duration(fetchTimeout))
	case all > slow:
		f.Result, f.Hint = warning, fmt.Sprintf("with the metadata it took %s, for which the first request has to wait: call Validator.Warm at the start", plain.Duration(all))
	}
	return f
}

// reportKeys looks at the keys that can be used.
func (d *examiner) reportKeys(ctx context.Context, set *jwks.Set) {
	// A Remote that begins with the set tells of its keys without fetching.
	remote, err := jwks.NewRemote(jwks.Config{Issuer: d.issuer, URL: d.keysURL, Initial: set, InsecureHTTP: d.insecureHTTP})
	if err != nil {
		d.add(finding{Name: checkKeys, Result: failed, Detail: told(err)})
		return
	}
	source := jwks.Static(set.Keys...)
	count, unnamed := 0, 0
	ids := map[string]int{}
	for i, info := range remote.Status().Keys {
		report := keyReport{ID: info.ID, Algorithm: info.Algorithm, Bits: info.Bits}
		var fits []string
		for _, alg := range d.accepted() {
			if usableFor(ctx, source, set.Keys[i], alg) {
				fits = append(fits, alg)
			}
		}
		if len(fits) > 0 {
			count++
			report.Usable, report.Reason = true, "good for "+strings.Join(fits, ", ")
		} else {
			report.Reason = whyNotUsed(ctx, source, set.Keys[i], d.accepted())
		}
		if info.ID == "" {
			unnamed++
		} else {
			ids[info.ID]++
		}
		d.keys = append(d.keys, report)
	}
	f := finding{Name: checkKeys, Result: ok, Detail: fmt.Sprintf("%d of %d can be used", count, len(set.Keys)+len(set.LeftOut))}
	secret := slices.ContainsFunc(set.LeftOut, func(l jwks.LeftOut) bool { return l.Secret })
	twice := slices.ContainsFunc(d.keys, func(k keyReport) bool { return ids[k.ID] > 1 })
	switch {
	case count == 0:
		f.Result, f.Hint = failed, fmt.Sprintf("none is for %s, so every token is refused: name what the issuer signs with in Config.Algorithms (-algorithms)", strings.Join(d.accepted(), ", "))
	case secret:
		f.Result, f.Hint = warning, "the set gives away a private or symmetric key, which is left out here and must be replaced: whoever has read it can sign tokens for those who do not look"
	case twice:
		f.Result, f.Hint = warning, "several keys have the same kid: each costs a further verification, of many only the first few are tried, and the issuer had better rename them"
	case unnamed > 0 && len(set.Keys) > 1:
		f.Result, f.Hint = warning, "a key without kid is found only where it is the only one of its algorithm"
	}
	d.add(f)
}

// whyNotUsed tells why no token finds a key.
func whyNotUsed(ctx context.Context, source jwks.Source, key *jwks.Key, accepted []string) string {
	for _, alg := range accepted {
		if !usableFor(ctx, jwks.Static(key), key, alg) {
			continue
		}
		// It would do if it were alone.
		if tried, err := source.Keys(ctx, alg, key.ID()); err == nil {
			return fmt.Sprintf("not used: of the keys with its kid, only the first %d are tried", len(tried))
		}
	}
	return fmt.Sprintf("not used: its alg is %s, and accepted is %s", orAny(key.Algorithm()), strings.Join(accepted, ", "))
}

func orAny(alg string) string {
	if alg == "" {
		return "any that fits its kind"
	}
	return alg
}

// usableFor reports whether a token with that algorithm that names the key would
// find it.
func usableFor(ctx context.Context, source jwks.Source, key *jwks.Key, alg string) bool {
	if key.ID() == "" {
		_, err := jwks.Static(key).Keys(ctx, alg, "")
		return err == nil
	}
	found, err := source.Keys(ctx, alg, key.ID())
	return err == nil && slices.ContainsFunc(found, func(k *jwks.Key) bool { return k.Thumbprint() == key.Thumbprint() })
}

// reportLeftOut lists the keys that cannot be used.
func (d *examiner) reportLeftOut(set *jwks.Set) {
	for _, left := range set.LeftOut {
		d.keys = append(d.keys, keyReport{ID: left.ID, Reason: "left out: " + left.Reason})
	}
}

// transport looks at how the answers came.
func (d *examiner) transport() {
	seen := slices.DeleteFunc(d.watch.seen(), func(e exchange) bool { return e.status == 0 })
	switch _, refused := errors.AsType[*tls.CertificateVerificationError](d.failure); {
	case refused:
		d.add(finding{Name: checkTLS, Result: failed, Detail: "the certificate cannot be believed: see above"})
	case errors.Is(d.failure, http.ErrSchemeMismatch):
		d.add(finding{Name: checkTLS, Result: failed, Detail: "what answers does not speak TLS"})
	case len(seen) == 0:
		d.notReached(checkTLS)
	default:
		d.add(lookAtTLS(seen[len(seen)-1]))
	}
	if len(seen) == 0 {
		d.notReached(checkRedirects, checkCaching, checkClock)
		return
	}
	d.add(lookAtRedirects(seen))
	if d.keySetBy == nil {
		d.notReached(checkCaching)
	} else {
		d.add(lookAtCaching(*d.keySetBy))
	}
	d.add(d.lookAtClock(seen))
}

func lookAtTLS(e exchange) finding {
	f := finding{Name: checkTLS, Result: ok}
	if e.tls == nil {
		f.Result, f.Detail = note, "none: this is http"
		return f
	}
	f.Detail = tls.VersionName(e.tls.Version)
	if len(e.tls.PeerCertificates) == 0 {
		return f
	}
	left := time.Until(e.tls.PeerCertificates[0].NotAfter)
	f.Detail += fmt.Sprintf(", the certificate is good for another %s", plain.Duration(left.Round(time.Second)))
	if left < renewal {
		f.Result, f.Hint = warning, "when it is over, no key can be fetched: see that it is renewed"
	}
	return f
}

func lookAtRedirects(seen []exchange) finding {
	var from []string
	for _, e := range seen {
		if e.another {
			from = append(from, fmt.Sprintf("%s to %s", e.url, strictjson.Excerpt(e.header.Get("Location"))))
		}
	}
	if len(from) == 0 {
		return finding{Name: checkRedirects, Result: ok, Detail: "none"}
	}
	return finding{Name: checkRedirects, Result: note, Detail: strings.Join(from, "; "),
		Hint: "they are followed on the same host, three at the most; each costs a request"}
}

func lookAtCaching(e exchange) finding {
	f := finding{Name: checkCaching, Result: ok, Detail: "the answer has no Cache-Control"}
	if control := e.header.Get("Cache-Control"); control != "" {
		f.Detail = "Cache-Control is " + strictjson.Excerpt(control)
	}
	f.Detail += "; the library goes by its own ages, whatever that says"
	if old, cached := age(e.header); cached && old > 0 {
		f.Detail = fmt.Sprintf("the answer was in a cache for %s; ", plain.Duration(old)) + f.Detail
		if old > overdue {
			f.Result, f.Hint = warning, "a new key is seen that late, and tokens with it are refused till then: have the cache keep key sets for a few minutes"
		}
	}
	return f
}

func (d *examiner) lookAtClock(seen []exchange) finding {
	f := finding{Name: checkClock, Result: ok}
	s, known := skewOf(seen)
	switch {
	case !known:
		f.Result, f.Detail = note, "no answer has a Date, so the clocks cannot be compared"
		return f
	case s.ahead.Abs()-s.within > d.leeway:
		f.Result, f.Hint = failed, fmt.Sprintf("that is more than the leeway of %s: set this machine's clock", plain.Duration(d.leeway))
		if s.ahead < 0 {
			f.Hint = "new tokens seem to be of the future, and are refused; " + f.Hint
		} else {
			f.Hint = "tokens expire too early; " + f.Hint
		}
	case s.ahead.Abs()-s.within > drift:
		f.Result, f.Hint = warning, fmt.Sprintf("that is within the leeway of %s, and worth a look at the machine's clock", plain.Duration(d.leeway))
	}
	f.Detail = s.String()
	return f
}

// print writes a diagnosis for a person.
func (x diagnosis) print(g *page) {
	g.table([]row{
		{cells: []string{"issuer", x.Issuer}},
		{cells: []string{"audience", x.Audience}},
	})
	g.checks(x.Checks)
	if len(x.Keys) > 0 {
		g.heading("KEYS")
		rows := []row{{cells: []string{"kid", "alg", "bits", "use"}}}
		const most = 40
		for _, k := range x.Keys[:min(len(x.Keys), most)] {
			bits := "-"
			if k.Bits > 0 {
				bits = fmt.Sprint(k.Bits)
			}
			s := plainStyle
			if !k.Usable {
				s = dim
			}
			rows = append(rows, row{cells: []string{strictjson.Excerpt(k.ID), orDash(k.Algorithm), bits, k.Reason}, style: s})
		}
		if more := len(x.Keys) - most; more > 0 {
			rows = append(rows, row{cells: []string{"…", "", "", fmt.Sprintf("and %d more: -json has them all", more)}})
		}
		g.table(rows)
	}
	warnings := named(warning, x.Checks)
	switch {
	case x.Result == bad:
		g.verdict(red, bad, ": "+strings.Join(named(failed, x.Checks), ", "), x.Reason, x.Hint)
	case len(warnings) > 0:
		g.verdict(yellow, good, ", with something to look at: "+strings.Join(warnings, ", "), "", "")
	default:
		g.verdict(green, good, ": an API with this configuration can check tokens.", "", "")
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
