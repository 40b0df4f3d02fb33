package userinfo

import (
	"container/list"
	"sync"
	"time"
)

// A key stands for a token, in whose place it is kept: see [question.key].
type key string

// An answer is what the issuer has said about a token. It is not changed once it is
// there.
type answer struct {
	profile *Profile
	err     error         // in the place of a profile
	wish    time.Duration // how long the issuer asks to be left alone

	at    time.Time
	lasts time.Duration // how long it is kept
}

// isOver reports whether the answer must not be used any more.
func (a *answer) isOver(now time.Time) bool { return age(a.at, now) >= a.lasts }

// age returns the longer of what two clocks say: one stands still while the machine
// sleeps, and the other can be set.
func age(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// tell returns the caller's own copy of what the answer says about the subject.
func (a *answer) tell(subject string, now time.Time) (*Profile, error) {
	switch {
	case a.err == nil && a.profile.Subject == subject:
		own := *a.profile
		return &own, nil
	case a.err == nil:
		return nil, ErrSubject
	default:
		return nil, afterWish(a.err, a.wish-age(a.at, now))
	}
}

// A cache keeps the answers to a bounded number of tokens, for a while. It does so
// in the order in which they came: since all are kept about equally long, the one
// that came first is the next to be over.
type cache struct {
	most int

	mu      sync.Mutex
	answers map[key]*list.Element // of *kept
	inOrder *list.List
}

type kept struct {
	key    key
	answer *answer
}

func newCache(most int) *cache {
	return &cache{most: most, answers: map[key]*list.Element{}, inOrder: list.New()}
}

// lookup returns the answer that is kept, nil where there is none.
func (c *cache) lookup(k key, now time.Time) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.answers[k]
	if element == nil {
		return nil
	}
	if a := element.Value.(*kept).answer; !a.isOver(now) {
		return a
	}
	c.drop(element)
	return nil
}

// keep keeps an answer, unless it is over already.
func (c *cache) keep(k key, a *answer, now time.Time) {
	if a.isOver(now) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if element := c.answers[k]; element != nil {
		c.drop(element)
	}
	for first := c.inOrder.Front(); first != nil; first = c.inOrder.Front() {
		if c.inOrder.Len() < c.most && !first.Value.(*kept).answer.isOver(now) {
			break
		}
		c.drop(first)
	}
	c.answers[k] = c.inOrder.PushBack(&kept{k, a})
}

// len returns how many answers are kept.
func (c *cache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.answers)
}

func (c *cache) drop(element *list.Element) {
	delete(c.answers, c.inOrder.Remove(element).(*kept).key)
}
