// The table command runs all benchmarks in rounds and prints what they cost, as
// ratios to the floor of the same round.
//
//	go run ./bench/cmd/table                        # ten rounds, some ten minutes
//	go run ./bench/cmd/table -raw new.txt           # and keep what benchstat and the chart read
//	go run ./bench/cmd/table -only '^(floor|again)$' -rounds 3
//
// In a round each benchmark runs once, in turns with the floor that it is compared with,
// so that whatever else the machine does meets both; those in parallel run right after
// theirs. The first round takes longer, since tokens must be signed, up to 100,000 of
// them.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/bearerguard/bearerguard/bench"
	"github.com/bearerguard/bearerguard/bench/internal/results"
)

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 10, "how often each benchmark runs")
	benchtime := flag.String("benchtime", "500ms", "how long each benchmark runs, as for go test")
	only := flag.String("only", "", "run the benchmarks that match this `regexp`, and the floor")
	rawFile := flag.String("raw", "", "write what the benchmarks print to this `file`")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		log.Fatal(err)
	}
	testing.Init() // its flags are not for users of this command
	if err := flag.Set("test.benchtime", *benchtime); err != nil {
		log.Fatal(err)
	}

	var raw bytes.Buffer
	out := io.Writer(&raw)
	if *rawFile != "" {
		file, err := os.Create(*rawFile)
		if err != nil {
			log.Fatal(err)
		}
		defer file.Close()
		out = io.MultiWriter(&raw, file)
	}
	writeNotes(out)
	s := bench.NewScene()
	for _, list := range []func(*bench.Scene) []bench.Case{bench.Cases, bench.Crowd} {
		cases := slices.DeleteFunc(list(s), func(c bench.Case) bool {
			return !pattern.MatchString(c.Name) && !strings.HasSuffix(c.Name, "floor")
		})
		if len(cases) == 1 && cases[0].Name != "floor" {
			continue // a floor and nothing on it
		}
		for round := range *rounds {
			fmt.Fprintf(os.Stderr, "\rround %d of %d, %d benchmarks ", round+1, *rounds, len(cases))
			for _, c := range cases {
				measure(out, c)
			}
		}
		fmt.Fprintln(os.Stderr)
	}

	run, err := results.Read(&raw)
	if err != nil {
		log.Fatal(err)
	}
	write(os.Stdout, run)
}

// measure runs a benchmark and writes its line, as go test does.
func measure(out io.Writer, c bench.Case) {
	runtime.GC() // nobody pays for what another has left behind
	result := testing.Benchmark(c.Run)
	if result.N == 0 {
		log.Fatalf("%s has failed: see go test -bench 'Guard/%s' ./bench", c.Name, c.Name)
	}
	fmt.Fprintf(out, "BenchmarkGuard/%s-%d\t%s\t%s\n", c.Name, runtime.GOMAXPROCS(0), result, result.MemString())
}

// writeNotes writes what the figures hang on. Lines with # are for people and the
// chart: benchstat would not compare runs that differ in them.
func writeNotes(w io.Writer) {
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: github.com/bearerguard/bearerguard/bench\n", runtime.GOOS, runtime.GOARCH)
	fmt.Fprintf(w, "# command: go run ./bench/cmd/table %s\n", strings.Join(os.Args[1:], " "))
	fmt.Fprintf(w, "# date: %s\n", time.Now().UTC().Format(time.DateOnly))
	fmt.Fprintf(w, "# go: %s, %d cores\n", runtime.Version(), runtime.NumCPU())
	info, _ := debug.ReadBuildInfo()
	for _, peer := range bench.Peers {
		var versions []string
		for _, module := range peer.Modules {
			at := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == module })
			versions = append(versions, module+" "+info.Deps[at].Version)
		}
		fmt.Fprintf(w, "# peers/%s: %s\n", peer.Name, strings.Join(versions, ", "))
	}
}

// write writes the table, in Markdown.
func write(w io.Writer, run results.Run) {
	table := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprint(table, "| case\t| × floor\t| floor ÷\t| ±\t| ns\t| allocations\t| bytes\t|\n")
	fmt.Fprint(table, "|---\t|---:\t|---:\t|---:\t|---:\t|---:\t|---:\t|\n")
	for _, name := range run.Names {
		ratio, spread := run.Ratio(name)
		fmt.Fprintf(table, "| %s\t| %.3f\t| %.1f\t| %.1f %%\t| %.0f\t| %.0f\t| %.0f\t|\n", strings.ReplaceAll(name, "_", " "),
			ratio, 1/ratio, 100*spread, run.Median(name, "ns/op"), run.Median(name, "allocs/op"), run.Median(name, "B/op"))
	}
	table.Flush()

	fmt.Fprintln(w)
	compare(w, run, run.Compare, "1,000 keys instead of one, first sight", "keys/1000/first_sight", "first_sight")
	compare(w, run, run.Compare, "1,000 keys instead of one, again", "keys/1000/again", "again")
	compare(w, run, run.Compare, "10,000 issuers instead of one, first sight", "issuers/10000/first_sight", "first_sight")
	compare(w, run, run.Compare, "10,000 issuers instead of one, again", "issuers/10000/again", "again")
	compare(w, run, run.Compare, "100 scopes instead of one, first sight", "scopes/100/first_sight", "scopes/1/first_sight")
	compare(w, run, run.Compare, "200 scopes instead of one, first sight", "scopes/200/first_sight", "scopes/1/first_sight")
	compare(w, run, run.Compare, "100 scopes instead of one, again", "scopes/100/again", "scopes/1/again")
	compare(w, run, run.Compare, "200 scopes instead of one, again", "scopes/200/again", "scopes/1/again")
	compare(w, run, run.CompareTimes, "all cores instead of one, floor", "parallel/all_cores/floor", "parallel/one_core/floor")
	compare(w, run, run.CompareTimes, "all cores instead of one, again", "parallel/all_cores/again", "parallel/one_core/again")
	compare(w, run, run.CompareTimes, "all cores instead of one, 100,000 tokens", "crowd/all_cores/default_memory", "crowd/one_core/default_memory")
	compare(w, run, run.CompareTimes, "all cores instead of one, 100,000 tokens in a large memory", "crowd/all_cores/large_memory", "crowd/one_core/large_memory")
	for _, name := range run.Names {
		if share := run.Median(name, "known/op"); share > 0 {
			fmt.Fprintf(w, "%s: %.1f %% of the tokens were known\n", name, 100*share)
		}
	}
	for _, key := range []string{"command", "date", "go"} {
		fmt.Fprintf(w, "%s: %s\n", key, run.Notes[key])
	}
	for _, key := range run.Keys("peers/") {
		fmt.Fprintf(w, "%s: %s\n", key, run.Notes[key])
	}
}

// compare writes how two cases compare, where both were run.
func compare(w io.Writer, run results.Run, by func(name, with string) (median, spread float64), what, name, with string) {
	if run.Units[name] == nil || run.Units[with] == nil {
		return
	}
	ratio, spread := by(name, with)
	fmt.Fprintf(w, "%s: × %.3f (± %.1f %%)", what, ratio, 100*spread)
	if size, base := run.Median(name, "B/token"), run.Median(with, "B/token"); size > base {
		fmt.Fprintf(w, ", where the token has %.0f bytes instead of %.0f", size, base)
	}
	fmt.Fprintln(w)
}
