package download_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"relink/shared/config"
	"relink/shared/download"
	"relink/shared/refusal"
)

var now = time.Unix(1_767_225_600, 0)

func signer(t testing.TB, base string, key byte, at time.Time) *download.Signer {
	t.Helper()
	s, err := download.NewSigner(base, config.Key{key}, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestURL(t *testing.T) {
	t.Parallel()
	s := signer(t, "https://dl.relink.example/", 1, now)
	for _, key := range []string{"config/a1GoldenPk1/3cfda5091d5b", "a b/灯?#%.bin", strings.Repeat("k", 190)} {
		text, err := s.URL(key, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(text)
		if err != nil || u.Host != "dl.relink.example" || u.Fragment != "" || u.RawQuery != "" || len(u.EscapedPath()) > 255 {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := s.Open(u.Path); err != nil || got != key {
			t.Errorf("open %s: %q, %v", text, got, err)
		}
		if _, err := signer(t, "https://x", 2, now).Open(u.Path); refusal.CauseOf(err) != refusal.DownloadRefused {
			t.Errorf("another installation's key: %v", err)
		}
		if _, err := signer(t, "https://x", 1, now.Add(time.Hour)).Open(u.Path); refusal.CauseOf(err) != refusal.DownloadExpired {
			t.Errorf("after an hour: %v", err)
		}
		if _, err := signer(t, "https://x", 1, now.Add(time.Hour-time.Second)).Open(u.Path); err != nil {
			t.Errorf("after less than an hour: %v", err)
		}
	}
	if _, err := s.URL(strings.Repeat("k", 230), time.Hour); err == nil {
		t.Error("a path of more than 255 bytes is handed out")
	}
	if _, err := signer(t, "", 1, now).URL("k", time.Hour); err == nil {
		t.Error("a URL without a base")
	}
}

func TestBase(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"dl.example", "ftp://dl.example", "https://", "https://dl.example/path", "https://dl.example?x=1", "https://" + strings.Repeat("h", 256)} {
		if _, err := download.NewSigner(base, config.Key{1}, time.Now); err == nil {
			t.Errorf("%q is taken", base)
		}
	}
}

// No path opens but those that were made.
func FuzzOpen(f *testing.F) {
	s := signer(f, "https://dl.relink.example", 1, now)
	made, err := s.URL("config/k", time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	good := strings.TrimPrefix(made, "https://dl.relink.example")
	for _, seed := range []string{good, good + "x", "/d/", "/d//", "/d/a/b", "", "/", strings.Replace(good, "/d/", "/d/a", 1), strings.ToUpper(good)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		key, err := s.Open(path)
		if (err == nil) != (path == good) {
			t.Errorf("%q opens %q: %v", path, key, err)
		}
	})
}
