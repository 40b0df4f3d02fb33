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

	ratios map[string][]float64 // of each value of ns/op to the floor that it is compared with
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
	run := Run{Notes: map[string]string{}, Units: map[string][]Series{}, ratios: map[string][]float64{}}
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
		floor := run.Values(name, "floor-ns/op")
		if len(floor) == 0 {
			floor = run.Values(run.floorOf(name), "ns/op")
		}
		if len(floor) > 0 {
			run.ratios[name] = append(run.ratios[name], last(run.Values(name, "ns/op"))/last(floor))
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
// the rounds, and half of what is between the quartiles, as a share of the median. In each
// round, the floor is the one that ran in turns with the benchmark (floor-ns/op), or else
// the one that ran last before it.
func (run Run) Ratio(name string) (median, spread float64) { return middle(run.ratios[name]) }

// Compare returns the same for two benchmarks, as ratios of their ratios.
func (run Run) Compare(name, with string) (median, spread float64) {
	return middle(quotients(run.ratios[name], run.ratios[with]))
}

// CompareTimes returns the same for the times of two benchmarks, where a floor
// would take away what is to be seen: on more cores, it is faster as well.
func (run Run) CompareTimes(name, with string) (median, spread float64) {
	return middle(quotients(run.Values(name, "ns/op"), run.Values(with, "ns/op")))
}

// quotients divides the values of each round.
func quotients(values, by []float64) []float64 {
	all := make([]float64, min(len(values), len(by)))
	for i := range all {
		all[i] = values[i] / by[i]
	}
	return all
}

func middle(ratios []float64) (median, spread float64) {
	median = Quantile(ratios, 0.5)
	return median, (Quantile(ratios, 0.75) - Quantile(ratios, 0.25)) / 2 / median
}

// floorOf returns the name of the floor that a benchmark is compared with where it has
// none of its own: the one beside it or above, which has as many cores.
func (run Run) floorOf(name string) string {
	for {
		slash := strings.LastIndexByte(name, '/')
		if slash < 0 {
			return "floor"
		}
		name = name[:slash]
		if run.Units[name+"/floor"] != nil {
			return name + "/floor"
		}
	}
}

func last(values []float64) float64 { return values[len(values)-1] }

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
