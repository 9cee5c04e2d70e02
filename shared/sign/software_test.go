package sign

import (
	"strings"
	"testing"
)

func TestSoftware(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"a|timestamp=2524608000000,_v=sdk-c-3.0.1,securemode=3,signmethod=hmacsha256,lan=C,gw=0,ext=0|": "lan=C,_v=sdk-c-3.0.1",
		"a|securemode=2,_v=1.6.6,lan=Android,os=9,signmethod=hmacsha1,ext=1,deviceToken=x|":             "lan=Android,_v=1.6.6,os=9",
		"a|securemode=3,signmethod=hmacsha1|":                                                           "",
		"a|securemode=3,signmethod=hmacsha1,_v=1,lan=" + strings.Repeat("x", 300) + ",mid=m|":           "_v=1,mid=m",
		"a|securemode=3,signmethod=hmacsha1,timestamp=1700000000000,lan=JS|Broswer ,_v=1.2.8|":          "lan=JS|Broswer,_v=1.2.8",
	} {
		c, err := ParseClientID(id)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Software(); got != want {
			t.Errorf("%.60s: %q, want %q", id, got, want)
		}
	}
}
