// Package plain writes numbers as people say them, for reasons and reports.
package plain

import (
	"fmt"
	"time"
)

// Duration writes how long something takes, in the two largest units that
// matter: "3 h 12 min" and not "3h12m7s". A negative duration is written as the
// positive one, since words like "ago" say the rest.
func Duration(d time.Duration) string {
	d = d.Abs()
	switch {
	case d == 0:
		return "0 s"
	case d < time.Millisecond:
		return "less than 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second && d%time.Second >= 100*time.Millisecond:
		return fmt.Sprintf("%d.%d s", d/time.Second, d%time.Second/(100*time.Millisecond))
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return two(d/time.Minute, "min", d%time.Minute/time.Second, "s")
	case d < 48*time.Hour:
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "min")
	case d < 30*day:
		return two(d/day, "days", d%day/time.Hour, "h")
	default:
		return fmt.Sprintf("%d days", d/day)
	}
}

const day = 24 * time.Hour

func two(large time.Duration, unit string, small time.Duration, smallUnit string) string {
	if small == 0 {
		return fmt.Sprintf("%d %s", large, unit)
	}
	return fmt.Sprintf("%d %s %d %s", large, unit, small, smallUnit)
}
