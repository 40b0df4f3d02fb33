package tryout_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/examples/internal/tryout"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

// What the lines say is what comes back.
func TestTheLinesAreTrue(t *testing.T) {
	var out bytes.Buffer
	issuer, audience, err := tryout.Start("api.test", &out)
	require.NoError(t, err)
	validator, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience})
	require.NoError(t, err)
	guard := middleware.New(validator)
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("GET /health", nothing)
	mux.Handle("GET /me", guard.Handler(nothing))
	mux.Handle("GET /patients", guard.RequireScope("read:patients")(nothing))

	tokens := map[string]string{"": ""}
	for _, match := range regexp.MustCompile(`(?m)^(\w+)=(\S+)$`).FindAllStringSubmatch(out.String(), -1) {
		tokens[match[1]] = match[2]
	}
	lines := regexp.MustCompile(`(?m)^curl -i http://api\.test(/\w+)(?: -H "(Authorization: Bearer) \$(\w+)")?  # (\d+)`).FindAllStringSubmatch(out.String(), -1)
	require.Len(t, lines, strings.Count(out.String(), "curl"))
	for _, line := range lines {
		r := httptest.NewRequest("GET", line[1], nil)
		if line[2] != "" {
			require.NotEmpty(t, tokens[line[3]])
			r.Header.Set("Authorization", "Bearer "+tokens[line[3]])
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		require.Equal(t, line[4], strconv.Itoa(w.Code), line[0])
	}
}
