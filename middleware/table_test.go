package middleware_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/internal/adaptertest"
)

// The reference itself gives the replies of the table.
func TestTable(t *testing.T) { adaptertest.Run(t, adaptertest.NetHTTP, adaptertest.ServeMux) }
