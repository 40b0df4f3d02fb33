package command_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/cmd/bearerguard/internal/command"
	"github.com/stretchr/testify/require"
)

func TestManuals(t *testing.T) {
	for name, args := range map[string][]string{
		"help": {"-h"}, "explain": {"explain", "-h"}, "doctor": {"doctor", "-h"}, "issuer": {"issuer", "-h"},
	} {
		r := start(t.Context(), nil, "", args...)
		require.Equal(t, 0, r.status)
		r.golden(t, "help/"+name)
	}
	for _, args := range [][]string{{"help"}, {"--help"}, {"-help"}} {
		require.Equal(t, 0, start(t.Context(), nil, "", args...).status)
	}
	for _, args := range [][]string{{"version"}, {"-version"}} {
		r := start(t.Context(), nil, "", args...)
		require.Equal(t, 0, r.status)
		require.Contains(t, r.stdout, "bearerguard ")
	}
}

// What was called wrongly is one line that says what to do, and status 2.
func TestUsage(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	token := sign(atHeader, payload(nil))
	huge := write("huge", strings.Repeat("a", 1<<20+1))
	with := func(args ...string) []string {
		return append([]string{"explain", "-issuer", issuer, "-audience", audience}, args...)
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "usage: bearerguard SUBCOMMAND"},
		{"an unknown subcommand", []string{"exlpain"}, "there is no such subcommand"},
		{"a token in its place", []string{token}, "the token must not be an argument"},
		{"a token as an argument", with(token), "the token must not be an argument"},
		{"an opaque token as an argument", with(strings.Repeat("x", 200)), "the token must not be an argument"},
		{"a token with its scheme as an argument", with("Bearer abc"), "the token must not be an argument"},
		{"a token as the value of a flag", with("-leeway", token), "the token must not be an argument"},
		{"a token behind an equals sign", with("-leeway=" + token), "the token must not be an argument"},
		{"a token as a file", with("-file", token), "the token must not be an argument"},
		{"another argument", with("token.txt"), "all that it takes are flags, and the 5th argument"},
		{"an unknown flag", with("-tokn", "x"), "there is no flag -tokn"},
		{"no issuer", []string{"explain", "-audience", audience}, "-issuer is missing"},
		{"no audience", []string{"doctor", "-issuer", issuer}, "-audience is missing"},
		{"an issuer without a scheme", []string{"explain", "-issuer", "issuer.example", "-audience", audience}, "https://"},
		{"an issuer over http", []string{"explain", "-issuer", "http://issuer.example/", "-audience", audience}, "use https"},
		{"an unknown algorithm", with("-algorithms", "HS256"), "must be one of ES256"},
		{"an empty algorithm", with("-algorithms", "RS256,"), "empty"},
		{"an unknown profile", with("-profile", "x"), "any or rfc9068"},
		{"a leeway without a unit", with("-leeway", "30"), "-leeway cannot take that value"},
		{"a flag without its value", with("-leeway"), "-leeway needs a value"},
		{"a switch with a value that is none", with("-json=maybe"), "-json cannot take that value"},
		{"too much leeway", with("-leeway", "1h"), "10m"},
		{"no time", with("-timeout", "0"), "longer than nothing"},
		{"a malformed scope", with("-scope", "a  b"), "-scope"},
		{"a blank scope", with("-scope", " "), "-scope"},
		{"a missing file", with("-file", filepath.Join(dir, "missing")), "no such file"},
		{"a directory", with("-file", dir), "directory"},
		{"an empty file", with("-file", write("empty", "\n")), "no token came"},
		{"a huge file", with("-file", huge), "larger than"},
		{"a missing key set", with("-jwks", filepath.Join(dir, "missing")), "no such file"},
		{"no key set", with("-jwks", write("set", "{}")), `no member "keys"`},
		{"two key sets", with("-jwks", write("set", "{}"), "-jwks-url", keySetURL), "give one"},
		{"no token", with(), "no token came"},
		{"an argument of version", []string{"version", "x"}, "no arguments"},
		{"an address without a port", []string{"issuer", "-addr", "127.0.0.1"}, "not host:port"},
		{"every address and no URL", []string{"issuer", "-addr", "0.0.0.0:0", "-insecure-listen-anywhere"}, "-url is missing"},
		{"every address by its port and no URL", []string{"issuer", "-addr", ":0", "-insecure-listen-anywhere"}, "-url is missing"},
		{"an odd scope", []string{"issuer", "-scope", `a"b`}, "-scope"},
		{"no audience for tokens", []string{"issuer", "-audience", ""}, "-audience is empty"},
		{"any origin", []string{"issuer", "-cors-origin", "*"}, "no origin"},
		{"an origin with a path", []string{"issuer", "-cors-origin", "http://localhost:3000/"}, "no origin"},
		{"a URL with a fragment", []string{"issuer", "-url", "http://localhost:3000/#x"}, "the slash at the end"},
		{"a URL with an empty fragment", []string{"issuer", "-url", "http://localhost:3000/#"}, "the slash at the end"},
		{"a URL with an empty query", []string{"issuer", "-url", "http://localhost:3000/?"}, "the slash at the end"},
		{"a URL that a shell obeys", []string{"issuer", "-url", "http://$(id):3000/"}, "the slash at the end"},
		{"a URL with two commands", []string{"issuer", "-url", "http://localhost;id/"}, "the slash at the end"},
		{"a URL without its slash", []string{"issuer", "-url", "http://localhost:3000"}, "the slash at the end"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t.Context(), newWorld(), "", tt.args...)
			require.Equal(t, 2, r.status)
			require.Contains(t, r.stderr, tt.want)
			require.Empty(t, r.stdout)
			r.stdin = token // of which nothing may be repeated
			r.requireClean(t)
			require.NotContains(t, r.stderr, "xxxxxxxxxx")
			require.NotContains(t, r.stderr, "failed to")
		})
	}
}

// An argument may be a token, in any place and in any wrapping.
func TestNoArgumentIsRepeated(t *testing.T) {
	token := sign(atHeader, payload(nil))
	for name, given := range map[string]string{
		"a token":             token,
		"quoted":              `"` + token + `"`,
		"the beginning of it": token[:30],
		"a header line":       "Authorization: Bearer 8xLOxBtZp8",
		"a scheme":            "bearer 8xLOxBtZp8",
		"a parameter":         "token=8xLOxBtZp8",
		"a token's parameter": "access_token=8xLOxBtZp8",
		"JSON":                `{"access_token": "8xLOxBtZp8", "token_type": "Bearer"}`,
		"JSON of a token":     `{"token":"8xLOxBtZp8"}`,
		"an opaque one":       "8xLOxBtZp8",
		"an opaque flag":      "-8xLOxBtZp8",
		"an opaque flag's":    "--8xLOxBtZp8=8xLOxBtZp8",
		"a flag for it":       "-token=8xLOxBtZp8",
		"a bad flag":          "---8xLOxBtZp8",
		"a flag of the shell": "-H=Authorization: Bearer 8xLOxBtZp8",
	} {
		explain := append([]string{"explain"}, configured...)
		calls := [][]string{
			{given}, {"help", given}, append(explain, given), append(explain, "--", given), append(explain, given, "x"),
			{"doctor", given}, {"issuer", given}, {"version", given},
			{"explain", "-issuer", given, "-audience", audience},
			{"doctor", "-issuer", "https://issuer.example/?" + given, "-audience", audience},
			append(explain, "-scope", given+"  "), {"issuer", "-scope", given + "  "},
			{"issuer", "-addr", given}, {"issuer", "-url", given}, {"issuer", "-cors-origin", given},
		}
		for _, flag := range []string{"-leeway", "-timeout", "-profile", "-algorithms", "-jwks-url", "-jwks", "-file"} {
			calls = append(calls, append(explain, flag, given), append(explain, flag+"="+given))
		}
		for _, args := range calls {
			r := start(t.Context(), newWorld(), "", args...)
			require.NotContains(t, r.stdout+r.stderr, "8xLOxBtZp8", "%s: %q", name, args)
			require.NotContains(t, r.stdout+r.stderr, token[:30], "%s: %q", name, args)
			if args[0] != "help" {
				require.Equal(t, 2, r.status, "%s: %q: %s", name, args, r.stdout)
				require.NotEmpty(t, r.stderr)
			}
		}
	}
	for _, innocent := range []string{"urn:token:api", "api://token", "token:read", "bearer", "https://example.com/token", "monkey.example.com"} {
		r := start(t.Context(), newWorld(), "", "doctor", "-issuer", issuer, "-audience", innocent)
		require.Equal(t, 0, r.status, innocent)
	}
}

func TestColoursAreForTerminals(t *testing.T) {
	tests := []struct {
		name     string
		terminal bool
		env      map[string]string
		want     bool
	}{
		{"a terminal", true, nil, true},
		{"a pipe", false, nil, false},
		{"NO_COLOR", true, map[string]string{"NO_COLOR": "1"}, false},
		{"an empty NO_COLOR", true, map[string]string{"NO_COLOR": ""}, true},
		{"a dumb terminal", true, map[string]string{"TERM": "dumb"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var coloured, bare bytes.Buffer
			doctor := append([]string{"doctor"}, configured...)
			p := command.Program{Args: doctor, Stdout: &coloured, Stderr: io.Discard, Transport: newWorld(),
				StdoutIsTerminal: tt.terminal, Getenv: func(name string) string { return tt.env[name] }}
			require.Equal(t, 0, p.Run(t.Context()))
			require.Equal(t, tt.want, strings.Contains(coloured.String(), "\x1b["))
			p.Stdout, p.StdoutIsTerminal, p.Args = &bare, true, append(doctor, "-json")
			require.Equal(t, 0, p.Run(t.Context()))
			require.NotContains(t, bare.String(), "\x1b[", "JSON is for programs")
		})
	}
}

// A person pastes a token and presses Enter; nobody has to know of Ctrl-D.
func TestATokenFromATerminalEndsWithItsLine(t *testing.T) {
	reader, writer := io.Pipe()
	defer writer.Close() // after the program has ended
	var stdout, stderr bytes.Buffer
	p := command.Program{
		Args: append([]string{"explain"}, configured...), Stdin: reader, StdinIsTerminal: true,
		Stdout: &stdout, Stderr: &stderr, Transport: newWorld(), Getenv: func(string) string { return "" },
	}
	go io.WriteString(writer, sign(atHeader, payload(nil))+"\n")
	require.Equal(t, 0, p.Run(t.Context()), stdout.String())
	require.Contains(t, stderr.String(), "Paste the token")
}

func TestExplainCanBeInterruptedWhileItWaitsForTheToken(t *testing.T) {
	reader, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr bytes.Buffer
	p := command.Program{
		Args: append([]string{"explain"}, configured...), Stdin: reader,
		Stdout: &stdout, Stderr: &stderr, Transport: newWorld(), Getenv: func(string) string { return "" },
	}
	ended := make(chan int)
	go func() { ended <- p.Run(ctx) }()
	cancel()
	require.Equal(t, 2, <-ended)
	require.Empty(t, stdout.String())
}

// A pipe to which nobody writes, as <(…) of a shell may be, is not waited for for
// ever: neither for its opening nor for its end.
func TestExplainCanBeInterruptedWhileItWaitsForAFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no named pipes in directories")
	}
	for _, flag := range []string{"-file", "-jwks"} {
		for _, opened := range []bool{false, true} {
			pipe := filepath.Join(t.TempDir(), "pipe")
			out, err := exec.CommandContext(t.Context(), "mkfifo", pipe).CombinedOutput()
			require.NoError(t, err, "%s", out)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan run, 1)
			go func() {
				ended <- start(ctx, newWorld(), "", append([]string{"explain", flag, pipe}, configured...)...)
			}()
			writer := (*os.File)(nil)
			if opened { // which waits for the program to open it
				writer, err = os.OpenFile(pipe, os.O_WRONLY, 0)
				require.NoError(t, err)
			}
			cancel()
			r := <-ended
			require.Equal(t, 2, r.status)
			require.Contains(t, r.stderr, "interrupted")
			if writer == nil { // so that nothing is left waiting
				writer, err = os.OpenFile(pipe, os.O_RDWR, 0)
				require.NoError(t, err)
			}
			require.NoError(t, writer.Close())
		}
	}
}

func TestATokenMayComeFromAPipeWithAName(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no named pipes in directories")
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	out, err := exec.CommandContext(t.Context(), "mkfifo", pipe).CombinedOutput()
	require.NoError(t, err, "%s", out)
	go os.WriteFile(pipe, []byte(sign(atHeader, payload(nil))), 0o600)
	r := start(t.Context(), newWorld(), "", append([]string{"explain", "-file", pipe}, configured...)...)
	require.Equal(t, 0, r.status, r.stderr)
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestOutputThatCannotBeWritten(t *testing.T) {
	for _, args := range [][]string{append([]string{"doctor"}, configured...), append([]string{"doctor", "-json"}, configured...), {"issuer", "-addr", "127.0.0.1:0"}} {
		var stderr bytes.Buffer
		p := command.Program{Args: args, Stdout: failingWriter{}, Stderr: &stderr, Transport: newWorld(), Getenv: func(string) string { return "" }}
		require.Equal(t, 2, p.Run(t.Context()))
		require.Contains(t, stderr.String(), "no space left on device")
	}
}
