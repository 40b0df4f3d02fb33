package examples_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each program stands in the table, and has a test. It is short, except for those that
// the page names.
func TestTheTableOfProgramsIsComplete(t *testing.T) {
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	mains, err := filepath.Glob("*/main.go")
	require.NoError(t, err)
	require.NotEmpty(t, mains)
	for _, main := range mains {
		name := filepath.Dir(main)
		require.Contains(t, string(page), "[`go run ./examples/"+name+"`]("+name)
		tests, err := filepath.Glob(name + "/*_test.go")
		require.NoError(t, err)
		require.NotEmpty(t, tests, name)
		if name == "quickstart" || name == "mcp" {
			continue
		}
		files, err := filepath.Glob(name + "/*.go")
		require.NoError(t, err)
		lines := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			if name == "m2m" {
				lines = 0 // each file counts by itself
			}
			lines += strings.Count(string(text), "\n")
			require.Less(t, lines, 120, "up to %s", file)
		}
	}
	// And what the page links to is there.
	for rest := string(page); ; {
		_, after, found := strings.Cut(rest, "](")
		if !found {
			break
		}
		target, tail, _ := strings.Cut(after, ")")
		if rest = tail; !strings.HasPrefix(target, "https://") {
			_, err := os.Stat(target)
			require.NoError(t, err)
		}
	}
}
