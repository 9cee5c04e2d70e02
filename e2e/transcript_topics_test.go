package e2e

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"relink/shared/topic"
)

// elsewhere are topics on which a connection hears something that is no session; the tests named have them.
var elsewhere = map[string]string{
	"/ext/register":               "TestDynamicRegistration",
	"/ext/regnwl":                 "TestDynamicRegistration",
	"/ext/auth/identity/response": "TestClientCertificate",
}

// subscribed marks, in what was spoken, a topic that a device subscribes: all that there is of one on which nothing is sent yet.
const subscribed = "subscribe "

// Every topic of the table is in a transcript.
func TestEveryTopicHasATranscript(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join(transcripts, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var spoken []string // direction and topic, with the table's names
	same := strings.NewReplacer("{gpk}", "{pk}", "{gdn}", "{dn}", "{spk}", "{pk}", "{sdn}", "{dn}", "{rpk}", "{pk}", "{rdn}", "{dn}")
	for _, path := range paths {
		_, steps := readTranscript(t, path)
		for _, s := range steps {
			name, _, _ := strings.Cut(s.subject, " ")
			switch s.kind {
			case ">":
				spoken = append(spoken, topic.Up.String()+same.Replace(name))
			case "<":
				spoken = append(spoken, topic.Down.String()+same.Replace(name))
			case "+":
				spoken = append(spoken, subscribed+same.Replace(name))
			}
		}
	}
	for _, e := range topic.Table() {
		if elsewhere[e.Topic] != "" {
			continue
		}
		how := e.Direction.String()
		if e.Direction == topic.Down && e.Status == topic.NotYet {
			how = subscribed
		}
		want := regexp.QuoteMeta(how + e.Topic)
		want = strings.ReplaceAll(want, `\{id\}`, `[^/]+`)
		want = strings.ReplaceAll(want, `\{rest\}`, `.+`)
		re := regexp.MustCompile("^" + want + "$")
		found := false
		for _, line := range spoken {
			found = found || re.MatchString(line)
		}
		if !found {
			t.Errorf("no transcript has %s%s", how, e.Topic)
		}
	}
}
