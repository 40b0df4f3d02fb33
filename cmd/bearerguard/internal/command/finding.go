package command

import "strings"

// A result is how a check went: in explain and doctor, in text and JSON, it is
// called the same.
type result string

const (
	ok         result = "ok"
	note       result = "note"        // worth knowing
	warning    result = "warning"     // odd, and most often a mistake
	failed     result = "failed"      // for this the token is refused; no API with this configuration works
	notReached result = "not reached" // because of what failed before
)

// A verdict is what all checks together come to. In text it is the same word in
// capitals.
type verdict string

const (
	accepted  verdict = "accepted" // of a token: the API lets it in
	refused   verdict = "refused"
	undecided verdict = "undecided" // it cannot be checked now
	good      verdict = "ok"        // of a configuration: no check failed
	bad       verdict = "not ok"
)

// A finding is one line of a table of checks.
type finding struct {
	Name   string `json:"name"`
	Result result `json:"result"`
	Detail string `json:"detail,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// named returns the names of the findings with a result.
func named(r result, findings []finding) (names []string) {
	for _, f := range findings {
		if f.Result == r {
			names = append(names, f.Name)
		}
	}
	return names
}

// firstFailure returns what the first check says that failed.
func firstFailure(findings []finding) (reason, hint string) {
	for _, f := range findings {
		if f.Result == failed {
			return f.Detail, f.Hint
		}
	}
	return "", ""
}

// checks prints a table of checks. Where the last ones were not reached, one line
// says so of all.
func (g *page) checks(findings []finding) {
	reached := len(findings)
	for reached > 0 && findings[reached-1].Result == notReached {
		reached--
	}
	if len(findings)-reached > 1 {
		findings = append(findings[:reached:reached], finding{Name: "the rest", Result: notReached})
	}
	g.heading("CHECKS")
	var rows []row
	for _, f := range findings {
		r := row{cells: []string{f.Name, string(f.Result), f.Detail}, style: map[result]style{
			ok: green, note: plainStyle, warning: yellow, failed: red, notReached: dim,
		}[f.Result]}
		if f.Result == failed {
			r.cells[1] = "FAILED"
		}
		if f.Hint != "" {
			r.below = []string{"→ " + f.Hint}
		}
		rows = append(rows, r)
	}
	g.table(rows)
}

// verdict prints what it all comes to, and why, last, where the eye is.
func (g *page) verdict(s style, v verdict, text, reason, hint string) {
	g.line("\n%s", g.styled(s, strings.ToUpper(string(v))+text))
	if reason != "" {
		g.paragraph("Why:     ", reason)
	}
	if hint != "" {
		g.paragraph("Likely:  ", hint)
	}
}
