package main_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The program as it is installed: its arguments, streams, signals and status.
func TestTheProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no interrupt to send")
	}
	program := filepath.Join(t.TempDir(), "bearerguard")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)

	server := exec.CommandContext(t.Context(), program, "issuer", "-addr", "127.0.0.1:0", "-json", "-quiet")
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err)
	var at struct {
		Issuer, Audience string
		Secret           string `json:"client_secret"`
	}
	require.NoError(t, json.Unmarshal(line, &at))

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at.Issuer+"dev/access-token", nil)
	require.NoError(t, err)
	request.SetBasicAuth("local", at.Secret)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()

	explain := exec.CommandContext(t.Context(), program, "explain", "-issuer", at.Issuer, "-audience", at.Audience)
	explain.Stdin = response.Body
	out, err = explain.Output()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "ACCEPTED")
	require.NotContains(t, string(out), "\x1b", "a pipe is no terminal")

	explain = exec.CommandContext(t.Context(), program, "explain", "-issuer", at.Issuer, "-audience", at.Audience)
	explain.Stdin = strings.NewReader("8xLOxBtZp8\n")
	_, err = explain.Output()
	requireStatus(t, 1, err)
	requireStatus(t, 2, exec.CommandContext(t.Context(), program).Run())

	for _, called := range [][]string{{program}, {"go", "run", "."}} {
		wrong := exec.CommandContext(t.Context(), called[0], append(called[1:], "issuer", "-none")...)
		out, err := wrong.CombinedOutput()
		require.Error(t, err)
		name := strings.Replace(strings.Join(called, " "), " .", " github.com/bearerguard/bearerguard/cmd/bearerguard", 1)
		require.Contains(t, string(out), "("+name+" issuer -h", "lines to paste have what can be called")
	}

	require.NoError(t, server.Process.Signal(os.Interrupt))
	require.NoError(t, server.Wait(), "Ctrl-C is how it is meant to end")
}

// The first Ctrl-C lets the requests end that are under way; the second kills.
func TestTheSecondInterruptKills(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no interrupt to send")
	}
	program := filepath.Join(t.TempDir(), "bearerguard")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	server := exec.CommandContext(t.Context(), program, "issuer", "-addr", "127.0.0.1:0", "-json")
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err)
	var at struct{ Issuer string }
	require.NoError(t, json.Unmarshal(line, &at))

	// A request that does not end holds the server up for five seconds.
	slow, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(at.Issuer, "http://"), "/"))
	require.NoError(t, err)
	defer slow.Close()
	_, err = slow.Write([]byte("GET / HTTP/1.1\r\n"))
	require.NoError(t, err)
	time.Sleep(100 * time.Millisecond)

	began := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	for {
		_ = server.Process.Signal(os.Interrupt)
		select {
		case err = <-ended:
			failed, ok := errors.AsType[*exec.ExitError](err)
			require.True(t, ok, "it has ended by itself after %v: %v", time.Since(began), err)
			require.False(t, failed.Exited(), "a signal ends it")
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func requireStatus(t *testing.T, want int, err error) {
	t.Helper()
	failed, ok := errors.AsType[*exec.ExitError](err)
	require.True(t, ok, err)
	require.Equal(t, want, failed.ExitCode())
}
