// Package results reads what benchmarks have printed, in the format of benchstat,
// and makes medians of rounds out of it.
package results

import (
	"bufio"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Run is what one run has printed.
type Run struct {
	Notes map[string]string   // "# key: value", which benchstat skips
	Names []string            // of the benchmarks, as they came
	Units map[string][]Series // by name
}

// A Series has the values of one unit, one a round.
type Series struct {
	Unit   string
	Values []float64
}

// cores is what testing puts behind a name.
var cores = regexp.MustCompile(`-\d+$`)

// Read reads a run.
func Read(r io.Reader) (Run, error) {
	run := Run{Notes: map[string]string{}, Units: map[string][]Series{}}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if note, ok := strings.CutPrefix(line, "# "); ok {
			if key, value, ok := strings.Cut(note, ": "); ok {
				run.Notes[key] = value
			}
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(line, "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(cores.ReplaceAllString(fields[0], ""), "BenchmarkGuard/")
		if run.Units[name] == nil {
			run.Names = append(run.Names, name)
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if value, err := strconv.ParseFloat(fields[i], 64); err == nil {
				run.add(name, fields[i+1], value)
			}
		}
	}
	return run, lines.Err()
}

func (run Run) add(name, unit string, value float64) {
	all := run.Units[name]
	i := slices.IndexFunc(all, func(s Series) bool { return s.Unit == unit })
	if i < 0 {
		i, all = len(all), append(all, Series{Unit: unit})
	}
	all[i].Values = append(all[i].Values, value)
	run.Units[name] = all
}

// Values returns the values of a unit, such as "ns/op", one a round.
func (run Run) Values(name, unit string) []float64 {
	for _, s := range run.Units[name] {
		if s.Unit == unit {
			return s.Values
		}
	}
	return nil
}

// Ratio returns how much longer a benchmark takes than the floor: the median over
// the rounds, each compared with the floor of the same round, and half of what is
// between the quartiles, as a share of it.
func (run Run) Ratio(name string) (median, spread float64) {
	return run.Compare(name, run.FloorOf(name))
}

// FloorOf returns the name of the floor that a benchmark is compared with, which
// is of the same run and as many cores.
func (run Run) FloorOf(name string) string {
	for at := name; at != ""; {
		slash := strings.LastIndexByte(at, '/')
		if slash < 0 {
			break
		}
		at = at[:slash]
		if run.Units[at+"/floor"] != nil {
			return at + "/floor"
		}
	}
	return "floor"
}

// Compare is Ratio for any two benchmarks.
func (run Run) Compare(name, with string) (median, spread float64) {
	values, base := run.Values(name, "ns/op"), run.Values(with, "ns/op")
	ratios := make([]float64, min(len(values), len(base)))
	for i := range ratios {
		ratios[i] = values[i] / base[i]
	}
	median = Quantile(ratios, 0.5)
	return median, (Quantile(ratios, 0.75) - Quantile(ratios, 0.25)) / 2 / median
}

// Median returns the median of a unit.
func (run Run) Median(name, unit string) float64 { return Quantile(run.Values(name, unit), 0.5) }

// Keys returns the keys of notes with a prefix, sorted.
func (run Run) Keys(prefix string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(run.Notes)), func(key string) bool { return !strings.HasPrefix(key, prefix) })
}

// Quantile returns the value below which a share q of the values lies, in between
// where there is none; NaN where there are no values.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	whole, share := math.Modf(q * float64(len(sorted)-1))
	low, high := sorted[int(whole)], sorted[min(int(whole)+1, len(sorted)-1)]
	return low + (high-low)*share
}
