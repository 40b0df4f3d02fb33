package main_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

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
	require.Contains(t, string(out), "GOOD")
	require.NotContains(t, string(out), "\x1b", "a pipe is no terminal")

	explain = exec.CommandContext(t.Context(), program, "explain", "-issuer", at.Issuer, "-audience", at.Audience)
	explain.Stdin = strings.NewReader("8xLOxBtZp8\n")
	_, err = explain.Output()
	requireStatus(t, 1, err)
	requireStatus(t, 2, exec.CommandContext(t.Context(), program).Run())

	require.NoError(t, server.Process.Signal(os.Interrupt))
	require.NoError(t, server.Wait(), "Ctrl-C is how it is meant to end")
}

func requireStatus(t *testing.T, want int, err error) {
	t.Helper()
	failed, ok := errors.AsType[*exec.ExitError](err)
	require.True(t, ok, err)
	require.Equal(t, want, failed.ExitCode())
}
