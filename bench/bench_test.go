package bench_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/bench"
)

// BenchmarkGuard has all cases, for profiles and for one case alone. The table
// command runs the same in rounds.
func BenchmarkGuard(b *testing.B) {
	s := bench.NewScene()
	for _, c := range append(bench.Cases(s), bench.Crowd(s)...) {
		b.Run(c.Name, c.Run)
	}
}
