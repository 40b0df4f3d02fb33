// The chart command draws what the table command has kept, for the README: how long
// this library and the others take for a token, as ratios to the floor.
//
//	go run ./bench/cmd/table -raw new.txt
//	go run ./bench/cmd/chart new.txt >bench/speed.svg
package main

import (
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/bearerguard/bearerguard/bench/internal/results"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: chart FILE, which table -raw has written")
	}
	file, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	run, err := results.Read(file)
	if err != nil {
		log.Fatal(err)
	}
	if err := draw(os.Stdout, run); err != nil {
		log.Fatal(err)
	}
}

// Where things are, in pixels.
const (
	width     = 820
	left      = 300 // where bars begin
	right     = 740 // where the longest ends
	top       = 64
	barHeight = 18
	step      = 28
)

// A bar is one figure.
type bar struct {
	Label string
	Ours  bool
	Ratio float64

	Y, Width int
	Text     string
}

// A tick is a line of the scale.
type tick struct {
	X    int
	Text string
}

func draw(w io.Writer, run results.Run) error {
	bars := bars(run)
	if len(bars) == 0 {
		return fmt.Errorf("the run has no first_sight and again to draw")
	}
	// The scale is logarithmic, in whole powers of ten.
	low, high := math.Inf(1), 1.0
	for _, b := range bars {
		low, high = min(low, b.Ratio), max(high, b.Ratio)
	}
	from, to := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	at := func(ratio float64) int {
		return left + int((right-left)*(math.Log10(ratio)-from)/(to-from))
	}
	for i := range bars {
		b := &bars[i]
		b.Y, b.Width, b.Text = top+i*step, max(2, at(b.Ratio)-left), fmt.Sprintf("%.2f", b.Ratio)
		if b.Ratio < 0.1 {
			b.Text = fmt.Sprintf("1/%.0f", 1/b.Ratio)
		}
	}
	var ticks []tick
	for power := from; power <= to; power++ {
		ratio := math.Pow(10, power)
		text := fmt.Sprintf("%.0f ×", ratio)
		if ratio < 1 {
			text = fmt.Sprintf("1/%.0f", 1/ratio)
		}
		ticks = append(ticks, tick{at(ratio), text})
	}
	bottom := top + len(bars)*step
	return picture.Execute(w, map[string]any{
		"Bars": bars, "Ticks": ticks, "Floor": at(1), "Left": left, "BarHeight": barHeight,
		"Width": width, "Height": bottom + 62, "Top": top - 10, "Bottom": bottom,
		"Command": strings.TrimSpace(run.Notes["command"]), "Date": run.Notes["date"], "Go": run.Notes["go"],
	})
}

// bars returns ours first, then each peer, the fastest first. A peer has one bar,
// for a token that it has seen before.
func bars(run results.Run) []bar {
	var all []bar
	add := func(label, name string) {
		if run.Units[name] != nil {
			ratio, _ := run.Ratio(name)
			all = append(all, bar{Label: label, Ratio: ratio, Ours: !strings.HasPrefix(name, "peers/")})
		}
	}
	add("bearerguard, the same token again", "again")
	add("bearerguard, first sight of a token", "first_sight")
	ours := len(all)
	for _, key := range run.Keys("peers/") {
		add(label(run.Notes[key]), key+"/again")
	}
	slices.SortStableFunc(all[ours:], func(a, b bar) int { return int(math.Copysign(1, a.Ratio-b.Ratio)) })
	return all
}

// major is the major version in a module's path.
var major = regexp.MustCompile(`/v\d+ `)

// label returns the first of a peer's modules, without what its version tells.
func label(modules string) string {
	first, _, _ := strings.Cut(modules, ", ")
	return major.ReplaceAllString(strings.TrimPrefix(first, "github.com/"), " ")
}

// picture has its own colours for light and dark pages: an image in a README does
// not take on those of the page.
var picture = template.Must(template.New("svg").Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" role="img" aria-label="Time per request, as a ratio to one RSA verification">
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.small { font-size: 11px; fill: #59636e; }
.title { font-size: 15px; font-weight: 600; }
.ours { fill: #1a7f37; }
.peer { fill: #8c959f; }
line { stroke: #d1d9e0; }
.floor { stroke: #cf222e; stroke-dasharray: 4 3; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; }
.small { fill: #9198a1; }
.ours { fill: #3fb950; }
.peer { fill: #656c76; }
line { stroke: #3d444d; }
.floor { stroke: #f85149; }
}
</style>
<text class="title" x="12" y="24">Time per request, as a ratio to one SHA-256 and one RSA verification</text>
<text class="small" x="12" y="42">RS256, 2048 bits; signature, issuer, audience, expiry and scope checked; keys cached. Shorter is faster; the scale is logarithmic.</text>
{{range .Ticks}}<line x1="{{.X}}" y1="{{$.Top}}" x2="{{.X}}" y2="{{$.Bottom}}"/><text class="small" x="{{.X}}" y="{{$.Bottom}}" dy="14" text-anchor="middle">{{.Text}}</text>
{{end}}{{range .Bars}}<text x="{{$.Left}}" dx="-8" y="{{.Y}}" dy="13" text-anchor="end">{{html .Label}}</text><rect class="{{if .Ours}}ours{{else}}peer{{end}}" x="{{$.Left}}" y="{{.Y}}" width="{{.Width}}" height="{{$.BarHeight}}" rx="2"/><text x="{{$.Left}}" dx="{{.Width}}" y="{{.Y}}" dy="13">&#160;{{.Text}}</text>
{{end}}<line class="floor" x1="{{.Floor}}" y1="{{.Top}}" x2="{{.Floor}}" y2="{{.Bottom}}"/>
<text class="small" x="12" y="{{.Bottom}}" dy="36">{{html .Command}}</text>
<text class="small" x="12" y="{{.Bottom}}" dy="52">{{.Date}}, {{html .Go}}; ratios of one run, medians of its rounds</text>
</svg>
`))
