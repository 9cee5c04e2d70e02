package main

import (
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/alibabacloud-go/tea/tea"
)

// patience is how long a call waits in all for the platform to take it.
const patience = 20 * time.Second

// patiently calls an action of the official SDK, checks the answer, and comes back later while the platform says that this caller
// is too fast, as loops over many pages are. Such a call was not carried out, so that any may be repeated.
func patiently[Q, R any](action func(Q) (R, error), request Q) (R, error) {
	deadline := time.Now().Add(patience)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		response, err := action(request)
		if err = check(response, err); !tooFast(err) || time.Now().Add(pause).After(deadline) {
			return response, err
		}
		time.Sleep(pause/2 + rand.N(pause))
	}
}

// tooFast tells the limits of calls per second (Throttling.User, Throttling.Api) from everything else.
func tooFast(err error) bool {
	e, ok := errors.AsType[*tea.SDKError](err)
	return ok && strings.HasPrefix(tea.StringValue(e.Code), "Throttling.")
}
