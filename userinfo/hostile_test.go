package userinfo_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

func TestAnswersThatAreRefused(t *testing.T) {
	tests := []struct {
		name, contentType, body string
		want                    error
	}{
		{"another subject", "application/json", `{"sub":"eve"}`, userinfo.ErrSubject},
		{"another case", "application/json", `{"sub":"Ada"}`, userinfo.ErrSubject},
		{"a space", "application/json", `{"sub":"ada "}`, userinfo.ErrSubject},
		{"no subject", "application/json", `{"name":"Ada"}`, userinfo.ErrMalformed},
		{"another name of it", "application/json", `{"Sub":"ada"}`, userinfo.ErrMalformed},
		{"an empty subject", "application/json", `{"sub":""}`, userinfo.ErrMalformed},
		{"a number", "application/json", `{"sub":7}`, userinfo.ErrMalformed},
		{"null", "application/json", `{"sub":null}`, userinfo.ErrMalformed},
		{"an array as subject", "application/json", `{"sub":["ada"]}`, userinfo.ErrMalformed},
		{"two subjects", "application/json", `{"sub":"eve","sub":"ada"}`, userinfo.ErrMalformed},
		{"two subjects, one escaped", "application/json", `{"sub":"ada","s\u0075b":"eve"}`, userinfo.ErrMalformed},
		{"two of another name", "application/json", `{"sub":"ada","email":"a@example.com","email":"b@example.com"}`, userinfo.ErrMalformed},
		{"two in the address", "application/json", `{"sub":"ada","address":{"country":"UK","country":"FR"}}`, userinfo.ErrMalformed},
		{"an array", "application/json", `[{"sub":"ada"}]`, userinfo.ErrMalformed},
		{"nothing", "application/json", ``, userinfo.ErrMalformed},
		{"a text", "application/json", `"ada"`, userinfo.ErrMalformed},
		{"cut off", "application/json", `{"sub":"ada"`, userinfo.ErrMalformed},
		{"something behind it", "application/json", `{"sub":"ada"}{}`, userinfo.ErrMalformed},
		{"no UTF-8", "application/json", "{\"sub\":\"ada\",\"name\":\"\xff\"}", userinfo.ErrMalformed},
		{"a mark of the byte order", "application/json", "\ufeff{\"sub\":\"ada\"}", userinfo.ErrMalformed},
		{"too deep", "application/json", `{"sub":"ada","x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, userinfo.ErrMalformed},
		{"a page", "text/html; charset=utf-8", `<html>`, userinfo.ErrContentType},
		{"plain text", "text/plain", `{"sub":"ada"}`, userinfo.ErrContentType},
		{"no type", "", `{"sub":"ada"}`, userinfo.ErrContentType},
		{"no type at all", ";;", `{"sub":"ada"}`, userinfo.ErrContentType},
		{"another JSON", "application/problem+json", `{"sub":"ada"}`, userinfo.ErrContentType},
		{"too large", "application/json", `{"sub":"ada","x":"` + strings.Repeat("x", 64<<10) + `"}`, userinfo.ErrTooLarge},
		{"too large by white space", "application/json", `{"sub":"ada"}` + strings.Repeat(" ", 64<<10), userinfo.ErrTooLarge},
		{"JSON that says it is signed", "application/jwt", `{"sub":"ada"}`, userinfo.ErrMalformed},
		{"encrypted", "application/jwt", "a.b.c.d.e", userinfo.ErrEncrypted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := says(200, tt.contentType, tt.body).ask(t)
			require.ErrorIs(t, err, tt.want)
			require.ErrorIs(t, err, claims.ErrUnavailable, "it is not the client's fault")
			require.Nil(t, got)
			require.NotContains(t, err.Error(), "eve", "who it is may be personal")
		})
	}
}

func TestAnAnswerMayBeAsLargeAsConfigured(t *testing.T) {
	const body = `{"sub":"ada"}`
	for size, want := range map[int64]error{int64(len(body)): nil, int64(len(body)) - 1: userinfo.ErrTooLarge, 1<<63 - 1: nil} {
		_, err := saysJSON(body).client(t, userinfo.Config{MaxSize: size}).Profile(behind(t.Context(), token, ada()))
		require.ErrorIs(t, err, want)
	}
}

// over returns a client for an endpoint on a socket.
func over(t *testing.T, url string, base *http.Client) *userinfo.Client {
	t.Helper()
	users, err := userinfo.NewClient(userinfo.Config{Issuer: issuerURL, URL: url, Client: base})
	require.NoError(t, err)
	return users
}

func TestABombOfGzipIsNotUnpacked(t *testing.T) {
	var written atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		block := []byte(strings.Repeat(" ", 1<<20))
		for range 4 << 10 {
			n, err := z.Write(block)
			if written.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	_, err := over(t, server.URL, nil).Profile(behind(t.Context(), token, ada()))
	require.ErrorIs(t, err, userinfo.ErrTooLarge)
	require.Less(t, written.Load(), int64(4<<30))
}

func TestATokenFollowsNoRedirect(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for _, target := range []string{other.URL, "/same-host", "//evil.example/", "https://evil.example/"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.Header().Set("Location", target)
				w.WriteHeader(status)
			}))
			eager := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
			for _, base := range []*http.Client{nil, eager} {
				_, err := over(t, server.URL, base).Profile(behind(t.Context(), token, ada()))
				require.ErrorIs(t, err, userinfo.ErrUnavailable)
				require.ErrorContains(t, err, "not sent on")
			}
			require.EqualValues(t, 2, asked.Load(), "%d %s", status, target)
			server.Close()
		}
	}
	require.Zero(t, elsewhere.Load())
}

// A session that the issuer opens for one user would be sent with another's token.
func TestCookiesAreNotSent(t *testing.T) {
	var cookies atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookies.Add(int32(len(r.Cookies())))
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "ada"})
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"sub":"ada"}`)
	}))
	defer server.Close()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	base := &http.Client{Jar: jar}
	users := over(t, server.URL, base)
	for n := range 3 {
		_, err := users.Profile(behind(t.Context(), token+fmt.Sprint(n), ada()))
		require.NoError(t, err)
	}
	require.Zero(t, cookies.Load())
	require.NotNil(t, base.Jar, "the caller's client is not changed")
}

func TestASlowIssuerIsNotWaitedForLongerThanConfigured(t *testing.T) {
	slow := map[string]func(*http.Request) (*http.Response, error){
		"before it answers": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"within the body": func(r *http.Request) (*http.Response, error) {
			return response(r, 200, "application/json", io.MultiReader(strings.NewReader(`{"sub":"ada"`), untilDone{r.Context()})), nil
		},
		"deaf": func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Hour)
			return nil, errors.New("at last")
		},
	}
	for name, answer := range slow {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := &issuer{answer: answer}
				users := i.client(t, userinfo.Config{Timeout: 3 * time.Second})
				began := time.Now()
				_, err := users.Profile(behind(t.Context(), token, ada()))
				require.ErrorIs(t, err, userinfo.ErrUnavailable)
				require.Equal(t, 3*time.Second, time.Since(began))
				time.Sleep(time.Hour) // until the deaf one has come back
			})
		})
	}
}

type untilDone struct{ context.Context }

func (u untilDone) Read([]byte) (int, error) {
	<-u.Done()
	return 0, u.Err()
}

// Calls that were given up and do not end must not pile up.
func TestADeafTransportIsNotCalledForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{answer: func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Hour)
			return nil, errors.New("at last")
		}}
		users := i.client(t, userinfo.Config{})
		for n := range 100 {
			_, err := users.Profile(behind(t.Context(), fmt.Sprint(token, n), ada()))
			require.ErrorIs(t, err, userinfo.ErrUnavailable)
			time.Sleep(2 * time.Second) // who comes back within one was not deaf
		}
		require.EqualValues(t, 32, i.asked.Load())
		time.Sleep(2 * time.Hour)
		_, err := users.Profile(behind(t.Context(), token, ada()))
		require.ErrorContains(t, err, "no answer in time")
		require.EqualValues(t, 33, i.asked.Load())
		time.Sleep(2 * time.Hour)
	})
}

// Each of these has the token in what it says, or in what it panics with.
func TestNoTextHasTheTokenInIt(t *testing.T) {
	const half = len(token) / 2
	fails := func(err error) *issuer {
		return &issuer{answer: func(*http.Request) (*http.Response, error) { return nil, err }}
	}
	panics := func(value func(*http.Request) any) *issuer {
		return &issuer{answer: func(r *http.Request) (*http.Response, error) { panic(value(r)) }}
	}
	tests := map[string]*issuer{
		"good":            saysJSON(`{"sub":"ada"}`),
		"an error":        fails(errors.New("with " + token)),
		"half of it":      fails(errors.New("with " + token[half:])),
		"its quote":       fails(fmt.Errorf("%q", token)),
		"its end":         fails(errors.New(token[len(token)-20:])),
		"a long one":      fails(errors.New(strings.Repeat("x", 500) + token)),
		"the request":     panics(func(r *http.Request) any { return fmt.Sprint(r.Header) }),
		"as an error":     panics(func(r *http.Request) any { return fmt.Errorf("%v", r.Header) }),
		"a nil header":    panics(func(r *http.Request) any { return r }),
		"the body":        says(401, "application/json", token),
		"the type":        says(200, token, ""),
		"the type, in it": says(200, "text/"+token, ""),
		"the status": {answer: func(r *http.Request) (*http.Response, error) {
			a := response(r, 500, "", strings.NewReader(""))
			a.Status = token
			return a, nil
		}},
		"a redirect":       says(302, "", "", "Location", "https://evil.example/"+token),
		"Retry-After":      says(429, "", "", "Retry-After", token),
		"a name twice":     saysJSON(`{"sub":"ada","` + token + `":1,"` + token + `":2}`),
		"half a name":      saysJSON(`{"sub":"ada","` + token[half:] + `":1,"` + token[half:] + `":2}`),
		"no JSON":          saysJSON(token),
		"as signed":        says(200, "application/jwt", token),
		"as the subject":   saysJSON(`{"sub":"` + token + `"}`),
		"a kid":            says(200, "application/jwt", encode(`{"alg":"RS256","kid":"`+token+`"}`)+".e30.AA"),
		"an alg":           says(200, "application/jwt", encode(`{"alg":"`+token[half:]+`"}`)+".e30.AA"),
		"a typ":            says(200, "application/jwt", encode(`{"alg":"RS256","typ":"`+token[half:]+`"}`)+".e30.AA"),
		"a panic in Error": fails(panicking{}),
	}
	for name, i := range tests {
		t.Run(name, func(t *testing.T) {
			users := i.client(t, userinfo.Config{})
			profile, err := users.Profile(behind(t.Context(), token, ada()))
			require.Equal(t, name == "good", err == nil)
			text := fmt.Sprintf("%v %+v %#v %s %q", err, err, err, err, err) +
				fmt.Sprintf("%+v %#v %+v %#v", users, users, *users, profile)
			for err := err; err != nil; err = errors.Unwrap(err) {
				text += fmt.Sprintf("%v %+v", err, err)
			}
			for n := range len(token) - 16 {
				require.NotContains(t, text, token[n:n+16])
			}
		})
	}
}

// A guard logs and tells what a requirement returns, and so what Profile has.
func TestNeitherTheLogNorAnEventHasTheToken(t *testing.T) {
	for name, i := range map[string]*issuer{
		"a good answer": saysJSON(`{"sub":"ada"}`),
		"an error":      {answer: func(*http.Request) (*http.Response, error) { return nil, errors.New("with " + token) }},
		"a panic":       {answer: func(r *http.Request) (*http.Response, error) { panic(r) }},
		"no JSON":       saysJSON(token),
		"401":           says(401, "application/json", token),
		"a redirect":    says(302, "", "", "Location", "https://evil.example/"+token),
	} {
		t.Run(name, func(t *testing.T) {
			users := i.client(t, userinfo.Config{})
			var text bytes.Buffer
			guard := middleware.New(
				validatorFunc(func(context.Context, string) (*claims.Claims, error) { return ada(), nil }),
				middleware.WithObserver(middleware.LogDecisions(slog.New(slog.NewJSONHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})))),
				middleware.WithObserver(func(_ context.Context, d middleware.Decision) { fmt.Fprintf(&text, "%+v %#v", d, d) }))
			h := guard.Require(middleware.Func("a profile", func(r *http.Request, _ *claims.Claims) error {
				_, err := users.Profile(r.Context())
				return err
			}))(http.NotFoundHandler())
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			fmt.Fprint(&text, w.Header(), w.Body)
			require.Contains(t, text.String(), "a profile", "else nothing was told")
			for n := range len(token) - 16 {
				require.NotContains(t, text.String(), token[n:n+16])
			}
		})
	}
}

type panicking struct{}

func (panicking) Error() string { panic("with " + token) }

func TestATransportThatPanicsOrEndsItsGoroutineHarmsNobody(t *testing.T) {
	does := map[string]func(){"panics": func() { panic("boom") }, "ends": runtime.Goexit, "panics with nil": func() { panic(nil) }}
	for name, f := range does {
		t.Run(name, func(t *testing.T) {
			i := saysJSON(`{"sub":"ada"}`)
			good := i.answer
			i.answer = func(*http.Request) (*http.Response, error) { f(); return nil, nil }
			users := i.client(t, userinfo.Config{})
			_, err := users.Profile(behind(t.Context(), token, ada()))
			require.ErrorIs(t, err, userinfo.ErrUnavailable)
			i.answer = good
			_, err = users.Profile(behind(t.Context(), token, ada()))
			require.NoError(t, err, "the next one asks again")
		})
	}
}

// workers returns how many goroutines there are of this package, and of the clients of
// net/http.
func workers() int {
	stacks := make([]byte, 1<<22)
	stacks = stacks[:runtime.Stack(stacks, true)]
	count := 0
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		for _, ours := range []string{"bearerguard/userinfo.", "singleflight.", "http.(*Transport)"} {
			if strings.Contains(stack, ours) {
				count++
				break
			}
		}
	}
	return count
}

func TestNothingIsLeftRunning(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	before := workers()
	for range 20 {
		users, err := userinfo.NewClient(userinfo.Config{Issuer: issuerURL, URL: server.URL, Timeout: 20 * time.Millisecond})
		require.NoError(t, err)
		_, err = users.Profile(behind(t.Context(), token, ada()))
		require.ErrorIs(t, err, userinfo.ErrUnavailable)
	}
	require.Eventually(t, func() bool { return workers() <= before }, time.Minute, 10*time.Millisecond)
}
