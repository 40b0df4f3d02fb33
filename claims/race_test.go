//go:build race

package claims_test

// raceEnabled tells that the race detector is on. It changes what is allocated: it
// has sync.Pool forget at random what it is given, and moves values to the heap.
const raceEnabled = true
