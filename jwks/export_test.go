package jwks

import "time"

// Age is age with the monotonic and the wall clock of then and of now.
func Age(monotonicThen, wallThen, monotonicNow, wallNow time.Duration) time.Duration {
	return age(instant{monotonicThen, wallThen}, instant{monotonicNow, wallNow})
}
