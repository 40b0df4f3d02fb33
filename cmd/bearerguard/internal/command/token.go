package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
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
		text, err = readFile(name, maxInput)
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

// readFile reads a file of bounded size. The error has the name cut short.
func readFile(name string, most int64) (string, error) {
	shown := strictjson.Excerpt(name)
	file, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("the file %s cannot be read: %w", shown, reason(err))
	}
	defer file.Close()
	text, err := readAll(file, most)
	if err != nil {
		return "", fmt.Errorf("the file %s cannot be read: %w", shown, reason(err))
	}
	return text, nil
}

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

// readStdin reads standard input to its end; from a person, one line. It returns
// when ctx ends, although the read goes on: nothing can interrupt that.
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
		if r.err != nil {
			return "", fmt.Errorf("standard input cannot be read: %w", r.err)
		}
		return r.text, nil
	case <-ctx.Done():
		return "", fmt.Errorf("no token came: %w", context.Cause(ctx))
	}
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
// the wrong place: it has the form of one, or is long and has no path in it.
func looksLikeToken(text string) bool {
	return hasToken(text) || len(text) >= 128 && !strings.ContainsAny(text, `/\ `)
}

// hasToken reports whether an argument, or the value in -flag=value, has the form
// of a JWT or of credentials.
func hasToken(argument string) bool {
	if flag, value, ok := strings.Cut(argument, "="); ok && strings.HasPrefix(flag, "-") {
		argument = value
	}
	_, text, bearer := cutBearer(strings.TrimSpace(argument))
	parts := strings.Count(text, ".") + 1
	return bearer || strings.HasPrefix(text, "ey") && (parts == 3 || parts == 5)
}

// cutBearer cuts the scheme off.
func cutBearer(text string) (before, after string, found bool) {
	const scheme = "Bearer "
	if len(text) >= len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
		return text[:len(scheme)], text[len(scheme):], true
	}
	return "", text, false
}
