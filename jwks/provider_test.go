package jwks_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/discovery"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

const (
	issuerURL   = "https://issuer.example/"
	metadataURL = "https://issuer.example/.well-known/openid-configuration"
	oauthURL    = "https://issuer.example/.well-known/oauth-authorization-server"
)

// A reply is what a provider does with a request.
type reply func(*http.Request) (*http.Response, error)

// A stage is a provider that does as a test says at the moment, and notes what
// it was asked. What it has no reply for is not found.
type stage struct {
	mu      sync.Mutex
	replies map[string]reply // by URL
	asked   []*http.Request
}

func (s *stage) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked = append(s.asked, r)
	do := s.replies[r.URL.String()]
	s.mu.Unlock()
	if do == nil {
		do = says(http.StatusNotFound, "no such page")
	}
	return do(r)
}

func (s *stage) client() *http.Client { return &http.Client{Transport: s} }

// put says what is done with requests for a URL from now on; nil: not found.
func (s *stage) put(url string, do reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies[url] = do
}

// requests returns what was asked of a URL until now.
func (s *stage) requests(url string) []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var of []*http.Request
	for _, r := range s.asked {
		if r.URL.String() == url {
			of = append(of, r)
		}
	}
	return of
}

// count returns how often a URL was asked for until now.
func (s *stage) count(url string) int { return len(s.requests(url)) }

// urls returns what was asked for until now, in order.
func (s *stage) urls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var urls []string
	for _, r := range s.asked {
		urls = append(urls, r.URL.String())
	}
	return urls
}

// staged runs f in a bubble with a provider whose metadata and key set, with
// the key "k", are good. At the end, whatever hangs times out.
func staged(t *testing.T, f func(*testing.T, *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Hour) })
		f(t, &stage{replies: map[string]reply{
			metadataURL: names(issuerURL, keysURL),
			keysURL:     serves("k"),
		}})
	})
}

// says answers with a status and a text.
func says(status int, text string) reply {
	return func(r *http.Request) (*http.Response, error) { return answer(r, status, "text/html", text), nil }
}

// names answers with metadata.
func names(issuer, keys string) reply {
	return says(http.StatusOK, `{"issuer":"`+issuer+`","jwks_uri":"`+keys+`"}`)
}

// serves answers with a set of keys with these IDs.
func serves(kids ...string) reply {
	var keys []any
	for i, kid := range kids {
		keys = append(keys, other(uint(i)).with("kid", kid))
	}
	return says(http.StatusOK, string(setOf(keys...)))
}

// headed puts headers on an answer: names and values by turns.
func headed(do reply, headers ...string) reply {
	return func(r *http.Request) (*http.Response, error) {
		response, err := do(r)
		for i := 0; err == nil && i < len(headers); i += 2 {
			response.Header.Set(headers[i], headers[i+1])
		}
		return response, err
	}
}

// hangs answers nothing as long as the request lasts.
func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// refuses is a network that lets nobody through.
func refuses(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }

// warm fetches, as it must succeed, a set that is not fresh.
func warm(t *testing.T, remote *jwks.Remote) {
	t.Helper()
	before := fetches(remote)
	require.NoError(t, remote.Warm(t.Context()))
	require.Equal(t, before+1, fetches(remote))
}

func TestMetadataAreAskedForOnceADay(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()})
		const fetchesADay = 24 * 4
		for day := range 3 {
			for range fetchesADay {
				warm(t, remote)
				require.Equal(t, day+1, s.count(metadataURL))
				time.Sleep(15 * time.Minute)
			}
		}
		require.Equal(t, 3*fetchesADay, s.count(keysURL))
	})
}

func TestMetadataAreAskedForAgainAfterAFailedFetch(t *testing.T) {
	tests := []struct {
		name string
		keys reply
	}{
		{"not found", nil},
		{"down", says(http.StatusServiceUnavailable, "down")},
		{"hanging", hangs},
		{"out of reach", refuses},
		{"a page", says(http.StatusOK, "<html>")},
		{"an empty set", serves()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()})
				warm(t, remote)
				for i := range 3 {
					s.put(keysURL, tt.keys)
					time.Sleep(5 * time.Minute)
					require.ErrorIs(t, remote.Warm(t.Context()), jwks.ErrUnavailable)
					require.Equal(t, 1+i, s.count(metadataURL))

					s.put(keysURL, serves("k"))
					warm(t, remote)
					require.Equal(t, 2+i, s.count(metadataURL))

					time.Sleep(5 * time.Minute)
					warm(t, remote)
					require.Equal(t, 2+i, s.count(metadataURL), "not after a success")
				}
			})
		})
	}
}

func TestNothingThatHappensToMetadataKeepsTheKeysAway(t *testing.T) {
	const good = `{"issuer":"` + issuerURL + `"`
	tests := []struct {
		name     string
		metadata reply
		oauth    reply
	}{
		{"not found", nil, nil},
		{"down", says(http.StatusServiceUnavailable, "down"), nil},
		{"busy", says(http.StatusTooManyRequests, "slow down"), nil},
		{"out of reach", refuses, nil},
		{"hanging", hangs, nil},
		{"not found, and those of OAuth hanging", nil, hangs},
		{"not found, and those of OAuth of another issuer", nil, names("https://evil.example/", "https://evil.example/keys")},
		{"a page", says(http.StatusOK, "<html>Log in"), nil},
		{"half of them", says(http.StatusOK, good), nil},
		{"too large", says(http.StatusOK, good+`}`+strings.Repeat(" ", 1<<20)), nil},
		{"of another issuer", names("https://evil.example/", "https://evil.example/keys"), nil},
		{"of the issuer but for the slash", names("https://issuer.example", "https://evil.example/keys"), nil},
		{"without a key set", says(http.StatusOK, good+`}`), nil},
		{"with a key set that is a number", says(http.StatusOK, good+`,"jwks_uri":1}`), nil},
		{"with a key set over http", names(issuerURL, "http://issuer.example/keys"), nil},
		{"with a key set that has credentials", names(issuerURL, "https://me:secret@localhost/keys"), nil},
		{"redirected to another host", headed(says(http.StatusFound, ""), "Location", "https://evil.example/"), nil},
		{"redirected in a circle", headed(says(http.StatusFound, ""), "Location", metadataURL), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client(), RediscoverAfter: 10 * time.Minute})
				warm(t, remote)
				s.put(metadataURL, tt.metadata)
				s.put(oauthURL, tt.oauth)

				// They are old.
				s.put(keysURL, serves("k", "new"))
				time.Sleep(10 * time.Minute)
				waited, err := ask(t, remote, "k")
				require.NoError(t, err)
				require.Zero(t, waited)
				time.Sleep(5 * time.Second)
				require.Greater(t, s.count(metadataURL), 1)
				require.Equal(t, 2, s.count(keysURL))
				require.Equal(t, jwks.Ready, remote.Status().State)
				require.Equal(t, "fresh", remote.Status().Phase)
				_, err = ask(t, remote, "new")
				require.NoError(t, err)

				// The key set could not be had for a while.
				s.put(keysURL, says(http.StatusBadGateway, "down"))
				time.Sleep(5 * time.Minute)
				require.ErrorIs(t, remote.Warm(t.Context()), jwks.ErrUnavailable)
				s.put(keysURL, serves("newer"))
				before := s.count(metadataURL)
				warm(t, remote)
				require.Greater(t, s.count(metadataURL), before)
				_, err = ask(t, remote, "newer")
				require.NoError(t, err)
				for _, url := range s.urls() {
					require.True(t, strings.HasPrefix(url, issuerURL), "%s was asked", url)
				}
			})
		})
	}
}

func TestMetadataThatHangLeaveHalfOfTheTimeToTheKeySet(t *testing.T) {
	tests := []struct {
		name            string
		timeout         time.Duration // 0: 5 s
		metadata, oauth reply
		keysAfter       time.Duration
	}{
		{"by default", 0, hangs, nil, 2500 * time.Millisecond},
		{"of the Config's time", 20 * time.Second, hangs, nil, 10 * time.Second},
		{"both of them together", 0, func(r *http.Request) (*http.Response, error) {
			time.Sleep(2 * time.Second)
			return answer(r, http.StatusNotFound, "text/html", ""), nil
		}, hangs, 2500 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				remote := newRemote(t, jwks.Config{
					Issuer: issuerURL, Client: s.client(), RediscoverAfter: 5 * time.Minute, FetchTimeout: tt.timeout,
				})
				warm(t, remote)
				s.put(metadataURL, tt.metadata)
				s.put(oauthURL, tt.oauth)
				time.Sleep(5 * time.Minute)
				start := time.Now()
				var after, left time.Duration
				s.put(keysURL, func(r *http.Request) (*http.Response, error) {
					after = time.Since(start)
					deadline, _ := r.Context().Deadline()
					left = time.Until(deadline)
					time.Sleep(left - 1) // and it needs nearly all of that
					return serves("new")(r)
				})
				warm(t, remote)
				require.Equal(t, tt.keysAfter, after)
				require.Equal(t, tt.keysAfter, left, "the other half")
				_, err := ask(t, remote, "new")
				require.NoError(t, err)
			})
		})
	}
}

func TestMetadataThatAreNeededHaveAllOfTheTime(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		s.put(metadataURL, func(r *http.Request) (*http.Response, error) {
			time.Sleep(5*time.Second - 1)
			return names(issuerURL, keysURL)(r)
		})
		waited, err := ask(t, newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()}), "k")
		require.NoError(t, err)
		require.Equal(t, 5*time.Second-1, waited)
	})
}

func TestAKeySetThatHasMovedIsFoundByTheNextFetch(t *testing.T) {
	const newURL = "https://keys.example/new"
	tests := []struct {
		name string
		old  reply
	}{
		{"not found where it was", nil},
		{"gone from where it was", says(http.StatusGone, "")},
		{"hanging where it was", hangs},
		{"out of reach where it was", refuses},
		{"a page where it was", says(http.StatusOK, "<html>We have moved")},
		{"empty where it was", serves()},
		{"redirected to another host", headed(says(http.StatusMovedPermanently, ""), "Location", newURL)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()})
				warm(t, remote)
				s.put(keysURL, tt.old)
				s.put(newURL, serves("k", "new"))
				s.put(metadataURL, names(issuerURL, newURL))

				time.Sleep(5 * time.Minute)
				_, err := ask(t, remote, "k")
				require.NoError(t, err)
				time.Sleep(5*time.Second + time.Second) // the timeout, and the pause
				require.Zero(t, s.count(newURL))
				waited, err := ask(t, remote, "new")
				require.NoError(t, err)
				require.Zero(t, waited)
				require.Equal(t, 1, s.count(newURL))

				old := s.count(keysURL)
				time.Sleep(5 * time.Minute)
				warm(t, remote)
				require.Equal(t, 2, s.count(newURL))
				require.Equal(t, old, s.count(keysURL), "it is asked no more")
			})
		})
	}
}

func TestAKeySetThatMovesQuietlyIsFoundWhenTheMetadataAreOld(t *testing.T) {
	const newURL = "https://issuer.example/new"
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()})
		warm(t, remote)
		s.put(newURL, serves("new"))
		s.put(metadataURL, names(issuerURL, newURL))
		time.Sleep(24*time.Hour - 1)
		warm(t, remote)
		require.Zero(t, s.count(newURL))
		time.Sleep(5 * time.Minute)
		warm(t, remote)
		_, err := ask(t, remote, "new")
		require.NoError(t, err)
		require.Equal(t, 2, s.count(keysURL))
	})
}

func TestAnIssuerOfOAuthOnlyIsFound(t *testing.T) {
	tests := []struct{ issuer, first, second string }{
		{"https://issuer.example", metadataURL, oauthURL},
		{"https://issuer.example/", metadataURL, oauthURL},
		{"https://issuer.example/t", "https://issuer.example/t/.well-known/openid-configuration", oauthURL + "/t"},
		{"https://issuer.example/t/", "https://issuer.example/t/.well-known/openid-configuration", oauthURL + "/t"},
		{"https://issuer.example/a/b", "https://issuer.example/a/b/.well-known/openid-configuration", oauthURL + "/a/b"},
	}
	for _, tt := range tests {
		t.Run(tt.issuer, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				s.put(metadataURL, nil)
				s.put(tt.second, names(tt.issuer, keysURL))
				_, err := ask(t, newRemote(t, jwks.Config{Issuer: tt.issuer, Client: s.client()}), "k")
				require.NoError(t, err)
				require.Equal(t, []string{tt.first, tt.second, keysURL}, s.urls())
			})
		})
	}
}

func TestMetadataOfOAuthAreNoWayAroundAProviderInTrouble(t *testing.T) {
	tests := []struct {
		name     string
		metadata reply
	}{
		{"408", says(http.StatusRequestTimeout, "")},
		{"429", says(http.StatusTooManyRequests, "")},
		{"500", says(http.StatusInternalServerError, "")},
		{"503", says(http.StatusServiceUnavailable, "")},
		{"out of reach", refuses},
		{"hanging", hangs},
		{"a page", says(http.StatusOK, "<html>")},
		{"of another issuer", names("https://evil.example/", keysURL)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				s.put(metadataURL, tt.metadata)
				s.put(oauthURL, names(issuerURL, keysURL))
				_, err := ask(t, newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()}), "k")
				require.ErrorIs(t, err, jwks.ErrUnavailable)
				require.Equal(t, []string{metadataURL}, s.urls())
			})
		})
	}
}

func TestWhereNoMetadataCanBeHadBothAddressesAreNamed(t *testing.T) {
	tests := []struct {
		name  string
		oauth reply
		says  string
	}{
		{"not found", nil, "404 Not Found"},
		{"down", says(http.StatusServiceUnavailable, ""), "503 Service Unavailable"},
		{"out of reach", refuses, "connection refused"},
		{"a page", says(http.StatusOK, "<html>"), "not strict JSON"},
		{"of another issuer", names("https://issuer.example", keysURL), "take off the slash at the end"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				s.put(metadataURL, says(http.StatusForbidden, ""))
				s.put(oauthURL, tt.oauth)
				err := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()}).Warm(t.Context())
				require.ErrorIs(t, err, jwks.ErrUnavailable)
				require.ErrorContains(t, err, "GET "+metadataURL)
				require.ErrorContains(t, err, "403 Forbidden")
				require.ErrorContains(t, err, "GET "+oauthURL)
				require.ErrorContains(t, err, tt.says)
			})
		})
	}
}

func TestMetadataOfOAuthAreThoseOfTheIssuer(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		s.put(metadataURL, nil)
		s.put(oauthURL, names("https://evil.example/", keysURL))
		err := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()}).Warm(t.Context())
		require.ErrorIs(t, err, jwks.ErrUnavailable)
		require.ErrorIs(t, err, discovery.ErrIssuer)
		require.Zero(t, s.count(keysURL))
	})
}

// The refresh may land between the look at the old set and the wish for a fetch. By
// chance: so it is tried often.
func TestARefreshThatLandsMeanwhileAnswersForAnUnknownKey(t *testing.T) {
	for range 300 {
		staged(t, func(t *testing.T, s *stage) {
			remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()})
			warm(t, remote)
			s.put(keysURL, serves("k", "new"))
			time.Sleep(10 * time.Minute) // stale: the request starts a refresh
			_, err := ask(t, remote, "new")
			require.NoError(t, err)
			require.Equal(t, 2, s.count(keysURL), "one to warm up, and one for both reasons")
		})
	}
}
