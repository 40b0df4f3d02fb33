package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// maxInput is how many bytes are read in search of a token: more than any token
// that the library reads, and no more than a person can have meant.
const maxInput = 1 << 20

// readToken reads the token from a file, or from standard input where the name is
// "" or "-". It returns as well what it has taken off, in words.
func readToken(ctx context.Context, p *Program, name string) (token string, notes []string, err error) {
	var text string
	switch {
	case looksLikeToken(name):
		return "", nil, usageError{noTokenHere}
	case name != "" && name != "-":
		text, err = readFile(ctx, "-file", name, maxInput)
	default:
		text, err = readStdin(ctx, p)
	}
	if err != nil {
		return "", nil, err
	}
	token, notes = clean(text)
	if token == "" {
		return "", nil, errors.New("no token came: give it on standard input, or in a file with -file")
	}
	return token, notes, nil
}

// readFile reads the file of a flag, of bounded size, and returns when ctx ends.
// It may be a pipe, as <(…) of a shell is. An error does not name the file, since
// that may be a token in the wrong place.
func readFile(ctx context.Context, flag, name string, most int64) (string, error) {
	text, err := interruptible(ctx, func() (string, error) {
		file, err := os.Open(name) // waits, for a pipe that nobody writes to
		if err != nil {
			return "", err
		}
		defer file.Close()
		return readAll(file, most)
	})
	if err != nil {
		return "", fmt.Errorf("the file of %s cannot be read: %w", flag, reason(err))
	}
	return text, nil
}

// interruptible returns what read returns, or an error when ctx ends before. The
// read goes on then, to the end of the program: nothing can interrupt that.
func interruptible(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", errInterrupted
	}
}

var errInterrupted = errors.New("interrupted")

// reason returns an error of the file system without the name in it.
func reason(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}

func readAll(r io.Reader, most int64) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("it is larger than %d bytes", most)
	}
	return string(text), err
}

// readStdin reads standard input to its end; from a person, one line.
func readStdin(ctx context.Context, p *Program) (string, error) {
	read := func() (string, error) { return readAll(p.Stdin, maxInput) }
	if p.StdinIsTerminal {
		fmt.Fprint(p.Stderr, "Paste the token and press Enter. (Terminals take 4,095 characters at most: a longer token must come from a pipe, or with -file.)\n")
		read = func() (string, error) {
			line, err := bufio.NewReader(io.LimitReader(p.Stdin, maxInput)).ReadString('\n')
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return line, err
		}
	}
	text, err := interruptible(ctx, read)
	if err != nil {
		return "", fmt.Errorf("standard input cannot be read: %w", err)
	}
	return text, nil
}

// clean takes off what people copy along with a token, and says what. What is
// within the token stays: the library refuses it, as an API would.
func clean(text string) (token string, notes []string) {
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	text = strings.TrimPrefix(text, "\ufeff") // the mark with which some editors begin a file
	token = strings.TrimSpace(text)
	if token != strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r") { // which goes without saying
		note("white space around the token was taken off")
	}
	if object, err := strictjson.ParseObject(token); err == nil {
		if value, ok := object.Lookup("access_token"); ok {
			if text, ok := value.Text(); ok {
				note("the token was taken from access_token in the JSON that came")
				return strings.TrimSpace(text), notes
			}
		}
	}
	if unquoted, ok := unquote(token); ok {
		note("quotes around the token were taken off")
		token = unquoted
	}
	for _, prefix := range []string{"Authorization:", "Bearer "} {
		if len(token) >= len(prefix) && strings.EqualFold(token[:len(prefix)], prefix) {
			note("%q before the token was taken off", strings.TrimSpace(prefix))
			token = strings.TrimSpace(token[len(prefix):])
		}
	}
	return token, notes
}

// unquote takes a pair of quotes off.
func unquote(text string) (string, bool) {
	for _, quote := range []string{`"`, "'"} {
		if inner, ok := strings.CutPrefix(text, quote); ok {
			if inner, ok = strings.CutSuffix(inner, quote); ok {
				return strings.TrimSpace(inner), true
			}
		}
	}
	return "", false
}

// looksLikeToken reports whether an argument is likely a token that was given in
// the wrong place: it has one in it, or is long and has no path in it.
func looksLikeToken(text string) bool {
	return hasToken(text) || len(text) >= 128 && !strings.ContainsAny(text, `/\ `)
}

// tokens finds what is or announces a token: a JWT or its beginning, which is
// {" in base64url; or anything behind Bearer, token= and the like, with or without
// quotes, or in JSON.
var tokens = regexp.MustCompile(`\beyJ[\w-]{6}|\bey[\w-]*\.[\w-]*\.|(?i:\bbearer(\s|\+|%20)+\S|token\s*=|token["']\s*:)`)

// hasToken reports whether an argument has what looks like a token in it.
func hasToken(argument string) bool { return tokens.MatchString(argument) }
