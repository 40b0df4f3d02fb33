package jwks_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

var unmodified = says(http.StatusNotModified, "")

// condition returns what a request was made dependent on.
func condition(r *http.Request) [2]string {
	return [2]string{r.Header.Get("If-None-Match"), r.Header.Get("If-Modified-Since")}
}

func TestWhatIsAtHandIsNotSentAgain(t *testing.T) {
	const date = "Wed, 21 Oct 2015 07:28:00 GMT"
	long := `"` + strings.Repeat("a", 254) + `"` // as long as may be
	tests := []struct {
		name         string
		etag         string
		lastModified string
		want         [2]string
	}{
		{"by entity tag", `"1"`, "", [2]string{`"1"`, ""}},
		{"by weak entity tag", `W/"1"`, "", [2]string{`W/"1"`, ""}},
		{"by date", "", date, [2]string{"", date}},
		{"by both", `"1"`, date, [2]string{`"1"`, date}},
		{"by neither", "", "", [2]string{}},
		{"by a long entity tag", long, "", [2]string{long, ""}},
		{"not by one that is too long", long + "a", date, [2]string{"", date}},
		{"not by a date that is too long", `"1"`, long + "a", [2]string{`"1"`, ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
				s.put(keysURL, headed(serves("k"), "ETag", tt.etag, "Last-Modified", tt.lastModified))
				warm(t, remote)
				require.Equal(t, [2]string{}, condition(s.requests(keysURL)[0]), "there is nothing yet")
				time.Sleep(5 * time.Minute)
				warm(t, remote)
				require.Equal(t, tt.want, condition(s.requests(keysURL)[1]))
			})
		})
	}
}

// A validator stands for the set that is kept. If that of another answer were
// sent, a 304 would keep the wrong set alive.
func TestTheValidatorIsThatOfTheSetWhichIsKept(t *testing.T) {
	half := string(setOf(other(0).with("kid", "k")))[:100]
	steps := []struct {
		name  string
		reply reply
		asks  string // If-None-Match of the request
		keeps string // the key afterwards; "": none
	}{
		{"an answer without keys", headed(says(200, `{"keys":[]}`), "ETag", `"bad"`), ``, ""},
		{"not modified, though nothing was there", headed(unmodified, "ETag", `"bad"`), ``, ""},
		{"a good answer", headed(serves("1"), "ETag", `"1"`), ``, "1"},
		{"another", headed(serves("2"), "ETag", `"2"`), `"1"`, "2"},
		{"an error", headed(says(500, "down"), "ETag", `"bad"`), `"2"`, "2"},
		// After a failure the set is wanted in full.
		{"not found", headed(says(404, "gone"), "ETag", `"bad"`), ``, "2"},
		{"a page", headed(says(200, "<html>"), "ETag", `"bad"`), ``, "2"},
		{"no keys", headed(serves(), "ETag", `"bad"`), ``, "2"},
		{"no usable key", headed(says(200, `{"keys":[{"kty":"oct"}]}`), "ETag", `"bad"`), ``, "2"},
		{"half a set", headed(says(200, half), "ETag", `"bad"`), ``, "2"},
		{"nothing", hangs, ``, "2"},
		{"no way there", refuses, ``, "2"},
		{"a panic", func(*http.Request) (*http.Response, error) { panic("oh no") }, ``, "2"},
		{"not modified, though nobody asked", headed(unmodified, "ETag", `"2"`), ``, "2"},
		{"the same in full", headed(serves("2"), "ETag", `"2"`), ``, "2"},
		{"not modified", headed(unmodified, "ETag", `"2"`), `"2"`, "2"},
		{"not modified, by another name", headed(unmodified, "ETag", `"bad"`), `"2"`, "2"},
		{"in full, since a quarter of an hour is over", headed(serves("2"), "ETag", `"2"`), ``, "2"},
		{"not modified, without a name", unmodified, `"2"`, "2"},
		{"a good answer without a name", serves("3"), `"2"`, "3"},
		{"not modified, though nothing was named", unmodified, ``, "3"},
		{"a good answer with a name", headed(serves("4"), "ETag", `"4"`), ``, "4"},
		{"a good answer with a date", headed(serves("5"), "Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"), `"4"`, "5"},
		{"the last", serves("6"), ``, "6"},
	}
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
		for i, step := range steps {
			s.put(keysURL, step.reply)
			_ = remote.Warm(t.Context()) // fails where the answer is none
			requests := s.requests(keysURL)
			require.Len(t, requests, i+1, step.name)
			require.Equal(t, step.asks, requests[i].Header.Get("If-None-Match"), step.name)
			var kids []string
			for _, key := range remote.Status().Keys {
				kids = append(kids, key.ID)
			}
			require.Equal(t, step.keeps, strings.Join(kids, " "), step.name)
			time.Sleep(5 * time.Minute)
		}
	})
}

func TestAValidatorIsSentOnlyToWhereItCameFrom(t *testing.T) {
	const newURL = "https://keys.example/new"
	staged(t, func(t *testing.T, s *stage) {
		s.put(metadataURL, headed(names(issuerURL, keysURL), "ETag", `"metadata"`))
		s.put(keysURL, headed(serves("k"), "ETag", `"1"`))
		remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client(), RediscoverAfter: 5 * time.Minute})
		warm(t, remote)

		s.put(metadataURL, headed(names(issuerURL, newURL), "ETag", `"metadata"`))
		s.put(newURL, headed(serves("new"), "ETag", `"2"`))
		for range 2 {
			time.Sleep(5 * time.Minute)
			warm(t, remote)
		}
		for _, r := range s.requests(metadataURL) {
			require.Equal(t, [2]string{}, condition(r))
		}
		requests := s.requests(newURL)
		require.Len(t, requests, 2)
		require.Equal(t, [2]string{}, condition(requests[0]))
		require.Equal(t, [2]string{`"2"`, ""}, condition(requests[1]))
	})
}

func TestNotModifiedRenewsTheAgeAndKeepsTheKeys(t *testing.T) {
	for _, age := range []time.Duration{5 * time.Minute, 10 * time.Minute, 15*time.Minute - 1} {
		t.Run(age.String(), func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
				s.put(keysURL, headed(serves("a", "b"), "ETag", `"1"`))
				warm(t, remote)
				before := remote.Status()
				s.put(keysURL, unmodified)
				time.Sleep(age)
				_, err := ask(t, remote, "a")
				require.NoError(t, err)
				synctest.Wait()
				require.Equal(t, 2, s.count(keysURL))

				after := remote.Status()
				require.Equal(t, before.Keys, after.Keys)
				require.Equal(t, jwks.Ready, after.State)
				require.Equal(t, age, after.Fetched.Sub(before.Fetched))
				time.Sleep(5*time.Minute - 1)
				require.Equal(t, "fresh", remote.Status().Phase)
				_, err = ask(t, remote, "b")
				require.NoError(t, err)
				synctest.Wait()
				require.Equal(t, 2, s.count(keysURL))
			})
		})
	}
}

// confirms says that the set is as before to whoever has it, and sends it to all
// others.
func confirms(etag string, kids ...string) reply {
	return func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("If-None-Match") == etag {
			return unmodified(r)
		}
		return headed(serves(kids...), "ETag", etag)(r)
	}
}

func TestNotModifiedIsASuccess(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
		s.put(keysURL, confirms(`"1"`, "k"))
		warm(t, remote)
		time.Sleep(5 * time.Minute)
		warm(t, remote)
		require.Equal(t, [2]string{`"1"`, ""}, condition(s.requests(keysURL)[1]))
		require.Equal(t, jwks.Ready, remote.Status().State)
		require.Equal(t, "fresh", remote.Status().Phase)
	})
}

// Validators may be too coarse: of a file that was replaced by one as long, in the
// same second, or by an older one. So word that nothing has changed is not believed
// where it matters.
func TestWhereThereIsADoubtTheSetIsWantedInFull(t *testing.T) {
	frozen := func(kids ...string) reply { return confirms(`"always the same"`, kids...) }
	tests := []struct {
		name string
		act  func(t *testing.T, s *stage, remote *jwks.Remote)
	}{
		{"for an unknown key", func(t *testing.T, s *stage, remote *jwks.Remote) {
			s.put(keysURL, frozen("new"))
		}},
		{"at the age of a quarter of an hour", func(t *testing.T, s *stage, remote *jwks.Remote) {
			s.put(keysURL, frozen("new"))
			for range 3 {
				time.Sleep(5 * time.Minute)
				warm(t, remote)
			}
			_, err := ask(t, remote, "old")
			require.ErrorIs(t, err, jwks.ErrUnknownKey, "the removed key")
		}},
		{"after a failure", func(t *testing.T, s *stage, remote *jwks.Remote) {
			s.put(keysURL, says(http.StatusInternalServerError, "no conditions, please"))
			time.Sleep(5 * time.Minute)
			require.Error(t, remote.Warm(t.Context()))
			s.put(keysURL, frozen("new"))
			require.NoError(t, remote.Warm(t.Context()))
		}},
		{"when it has expired", func(t *testing.T, s *stage, remote *jwks.Remote) {
			s.put(keysURL, frozen("new"))
			time.Sleep(25 * time.Hour)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
				s.put(keysURL, frozen("old"))
				warm(t, remote)
				tt.act(t, s, remote)
				_, err := ask(t, remote, "new")
				require.NoError(t, err)
			})
		})
	}
}

func TestNotModifiedIsAnErrorWhereNothingWasAsked(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
		s.put(keysURL, unmodified)
		err := remote.Warm(t.Context())
		require.ErrorIs(t, err, jwks.ErrUnavailable)
		require.ErrorContains(t, err, "GET "+keysURL+": answered 304 Not Modified")

		s.put(keysURL, serves("k")) // without validators
		warm(t, remote)
		s.put(keysURL, unmodified)
		time.Sleep(5 * time.Minute)
		_, err = ask(t, remote, "k")
		require.NoError(t, err)
		synctest.Wait()
		status := remote.Status()
		require.Equal(t, jwks.Degraded, status.State)
		require.Equal(t, "stale", status.Phase, "its age is not renewed")
		require.Contains(t, status.LastError, "304 Not Modified")
	})
}

func TestMetadataAreNeverNotModified(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		s.put(metadataURL, unmodified)
		err := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()}).Warm(t.Context())
		require.ErrorIs(t, err, jwks.ErrUnavailable)
		require.ErrorContains(t, err, "GET "+metadataURL+": answered 304 Not Modified")
	})
}

func TestWhatAnAnswerSaysOfCachesChangesNoAge(t *testing.T) {
	tests := []struct {
		name    string
		headers []string
	}{
		{"nothing", nil},
		{"not to be stored", []string{"Cache-Control", "no-store, no-cache, must-revalidate", "Pragma", "no-cache"}},
		{"good for no time", []string{"Cache-Control", "max-age=0"}},
		{"good for a second", []string{"Cache-Control", "public, max-age=1, s-maxage=1"}},
		{"good for a year", []string{"Cache-Control", "public, max-age=31536000, immutable"}},
		{"good for a year though stale", []string{"Cache-Control", "max-age=1, stale-while-revalidate=31536000, stale-if-error=31536000"}},
		{"expired", []string{"Expires", "0"}},
		{"expired long ago", []string{"Expires", "Thu, 01 Jan 1970 00:00:00 GMT"}},
		{"expiring in the far future", []string{"Expires", "Fri, 31 Dec 9999 23:59:59 GMT"}},
		{"old already", []string{"Cache-Control", "max-age=300", "Age", "300"}},
		{"dated long ago", []string{"Date", "Thu, 01 Jan 1970 00:00:00 GMT"}},
		{"dated in the far future", []string{"Date", "Fri, 31 Dec 9999 23:59:59 GMT"}},
		{"to be retried later", []string{"Retry-After", "86400"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				s.put(metadataURL, headed(names(issuerURL, keysURL), tt.headers...))
				s.put(keysURL, headed(confirms(`"1"`, "k"), tt.headers...))
				remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client(), RediscoverAfter: time.Hour})
				warm(t, remote)
				for n := 1; n <= 12; n++ { // one hour
					require.Equal(t, n, s.count(keysURL))
					require.Equal(t, 1, s.count(metadataURL))
					time.Sleep(5*time.Minute - 1)
					_, err := ask(t, remote, "k")
					require.NoError(t, err)
					synctest.Wait()
					require.Equal(t, n, s.count(keysURL), "still fresh")
					time.Sleep(time.Nanosecond)
					_, err = ask(t, remote, "k")
					require.NoError(t, err)
					synctest.Wait()
				}
				require.Equal(t, 2, s.count(metadataURL))

				time.Sleep(24*time.Hour - 1)
				s.put(keysURL, headed(says(http.StatusServiceUnavailable, "down"), tt.headers...))
				_, err := ask(t, remote, "k")
				require.NoError(t, err)
				time.Sleep(time.Nanosecond)
				_, err = ask(t, remote, "k")
				require.ErrorIs(t, err, jwks.ErrUnavailable, "expired")
			})
		})
	}
}
