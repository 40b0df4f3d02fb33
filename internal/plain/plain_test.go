package plain_test

import (
	"math"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/plain"
	"github.com/stretchr/testify/require"
)

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		d    time.Duration
		want string
	}{
		{0, "0 s"},
		{1, "less than 1 ms"},
		{38*time.Millisecond + 600*time.Microsecond, "38 ms"},
		{time.Second, "1 s"},
		{1490 * time.Millisecond, "1.4 s"},
		{-2 * time.Second, "2 s"},
		{59900 * time.Millisecond, "59 s"},
		{time.Minute, "1 min"},
		{12*time.Minute + 5*time.Second, "12 min 5 s"},
		{time.Hour, "1 h"},
		{3*time.Hour + 12*time.Minute + 7*time.Second, "3 h 12 min"},
		{47*time.Hour + 59*time.Minute, "47 h 59 min"},
		{2 * day, "2 days"},
		{3*day + 4*time.Hour, "3 days 4 h"},
		{412*day + 5*time.Hour, "412 days"},
		{math.MinInt64, "106751 days"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, plain.Duration(tt.d), "%d", tt.d)
	}
}
