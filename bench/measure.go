package bench

import (
	"runtime"
	"testing"
	"time"
)

// measure times an operation, a few at a time, and after each few the floor: so whatever
// else the machine does meets both. It reports the one as ns/op and the other as
// floor-ns/op. Before each few it calls ready, if there is one, which is not timed.
//
// What an operation leaves behind may be collected while the floor runs, which then bears
// a part of it.
func (s *Scene) measure(b *testing.B, few int, ready, operate func()) {
	if ready == nil {
		ready = func() {}
	}
	verify := s.floor(s.Credentials(1)[0])
	const floors = 4
	var took, floorTook time.Duration
	for b.Loop() {
		ready()
		began := time.Now()
		for range few {
			operate()
		}
		between := time.Now()
		for range floors {
			check(verify())
		}
		took, floorTook = took+between.Sub(began), floorTook+time.Since(between)
	}
	b.ReportMetric(float64(took)/float64(b.N*few), "ns/op")
	b.ReportMetric(float64(floorTook)/float64(b.N*floors), "floor-ns/op")

	// Memory is counted on its own, since the floor takes some too.
	const times = 16
	var before, after runtime.MemStats
	var bytes, allocations uint64
	for range times {
		ready()
		runtime.ReadMemStats(&before)
		for range few {
			operate()
		}
		runtime.ReadMemStats(&after)
		bytes += after.TotalAlloc - before.TotalAlloc
		allocations += after.Mallocs - before.Mallocs
	}
	b.ReportMetric(float64(bytes)/float64(times*few), "B/op")
	b.ReportMetric(float64(allocations)/float64(times*few), "allocs/op")
}
