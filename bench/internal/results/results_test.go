package results_test

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/bench/internal/results"
	"github.com/stretchr/testify/require"
)

func TestBenchmarksAreComparedWithTheFloorBefore(t *testing.T) {
	run, err := results.Read(strings.NewReader(`
# date: 2026-11-22
goos: linux
BenchmarkGuard/floor-2      	10	100 ns/op	0 B/op	0 allocs/op
BenchmarkGuard/again-2      	10	 10 ns/op	8 B/op	1 allocs/op
BenchmarkGuard/crowd/floor  	10	 50 ns/op
BenchmarkGuard/crowd/x/again	10	 25 ns/op
BenchmarkGuard/floor-2      	10	200 ns/op	0 B/op	0 allocs/op
BenchmarkGuard/again-2      	10	 20 ns/op	8 B/op	1 allocs/op
BenchmarkGuard/floor-2      	10	100 ns/op	0 B/op	0 allocs/op
BenchmarkGuard/again-2      	10	 30 ns/op	9 B/op	1 allocs/op
`))
	require.NoError(t, err)
	require.Equal(t, []string{"floor", "again", "crowd/floor", "crowd/x/again"}, run.Names)
	require.Equal(t, "2026-11-22", run.Notes["date"])

	ratio, spread := run.Ratio("again")
	require.InDelta(t, 0.1, ratio, 1e-9)
	require.InDelta(t, 0.5, spread, 1e-9) // quartiles at 0.1 and 0.2
	ratio, _ = run.Ratio("crowd/x/again")
	require.InDelta(t, 0.5, ratio, 1e-9)
	ratio, _ = run.Compare("crowd/x/again", "again")
	require.InDelta(t, 5, ratio, 1e-9)
	ratio, _ = run.CompareTimes("crowd/x/again", "again")
	require.InDelta(t, 2.5, ratio, 1e-9)
	require.InDelta(t, 8, run.Median("again", "B/op"), 1e-9)
}

func TestAFloorThatRanInTurnsComesBeforeAnyOther(t *testing.T) {
	run, err := results.Read(strings.NewReader(`
BenchmarkGuard/floor-2      	10	100 ns/op
BenchmarkGuard/again-2      	10	 20 ns/op	80 floor-ns/op
BenchmarkGuard/again-2      	10	 20 ns/op	40 floor-ns/op
BenchmarkGuard/again-2      	10	 20 ns/op	50 floor-ns/op
`))
	require.NoError(t, err)
	ratio, _ := run.Ratio("again")
	require.InDelta(t, 0.4, ratio, 1e-9)
}
