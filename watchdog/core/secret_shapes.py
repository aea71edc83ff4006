"""What credentials look like: by what stands before them, by where they stand, and by their makers' own prefixes.

The prefixes are those that their makers document and that secret scanners look for. Each pattern runs over its text
once: no repetition can begin at every letter of a long word. What a group `keep…` holds stays in the text.
"""

import re

_VALUE = r"""(?:(?<=")[^"]{4,}|(?<=')[^']{4,}|[^\s"'&,;<>]{4,})"""

_NAMES = r"""(?:api[_-]?key|access[_-]?key(?:[_-]?id)?|token|secret|
    (?:private|secret|signing|encryption|account|shared|master|service|license|webhook|deploy|host|ssh|storage|
    subscription|app|application|consumer|client)[_-]?key|
    pass(?:wor[dt]|wd|phrase|code)|pwd|credentials?|(?:session|cookie)[_-]?(?:id|secret)|sessionid|csrf|jwt|
    (?:auth|authorization)[_-]?(?:key|code|header)|connection[_-]?string|dsn|otp|pin[_-]?code)"""

_IS = r"""(?:_(?:base|value|prod|dev|test|staging|\d{1,2}))?(?:\\{0,6}["']|%22)?
    (?:\s*(?:=>|:=|[:=])\s*|%3[AD](?:%20|\+)?|(?<=["'])\s*,\s*(?=["']))(?:\\{0,6}["']|%22)?"""
"""From a name to its value: in files, in JSON that stands in JSON, in addresses, in a call's arguments."""

BY_NAME = re.compile(
    rf"""
    # headers
      (?P<keep0>\bauthorization["']?\s*[:=]\s*["']?digest\s+)[^\r\n]{{6,}}
    | (?P<keep1>\bauthorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|token|digest|bot|negotiate|apikey|key)\s+)?)
        (?!\s)[^\s"',;]{{6,}}
    | (?P<keep2>\b(?:set-)?cookie["']?\s*[:=]\s*["']?)[^\r\n"']{{4,}}
    | (?P<keep3>\b(?:bearer|basic|token)\s+)(?=(?-i:[a-z]*[^a-z\s]))[A-Za-z0-9._~+/=-]{{12,}}
    # NAME=value, name: value, "name": "value", whatever comes before the name
    | (?P<keep4>{_NAMES}{_IS}){_VALUE}
    | (?P<keep5>(?:^|[\s?&;,{{("'_-])(?:key|sig|signature|auth|pass|code)\\?["']?(?:=|\s*:\s*)(?:\\?["'])?)
        (?=[^\s"'&,;]*\d)[^\s"'&,;<>]{{8,}}
    | (?P<keep12><{_NAMES}>)[^<\s]{{4,}}
    | (?P<keep13>\bname=["']{_NAMES}["'][^<>]{{0,60}}\bvalue=["'])[^"']{{4,}}
    | (?P<keep14>[_-](?:pat|pw|creds)["']?\s*[:=]\s*["']?){_VALUE}
    | (?P<keep15>(?:\s|^)(?:-u|--user)[\s=]+["']?[^\s:"']{{1,60}}:)[^\s"']{{6,}}
    | (?P<keep6>[_-](?:key|auth|pass|pw)["']?=["']?){_VALUE}
    # in words
    | (?P<keep7>\b(?:pass(?:word|phrase|code)|pwd|token|secret|credential|api[ ]key|key)
        \s+(?:is|was|of|value|set\s+to|to)\s+["'`]?)(?=[^\s"'`]*\d)[^\s"'`,;]{{6,}}
    | (?P<keep8>\b(?:pass(?:word|phrase|code)|pwd|token|secret|credential|api[ ]key|key)\s+["'`(]?)
        (?=[A-Za-z_.+/=-]*\d)(?=[\d_.+/=-]*[A-Za-z])[A-Za-z0-9_.+/=-]{{10,}}
    # addresses
    | (?P<keep9>\b[a-z][a-z0-9+.-]{{1,20}}://)[^\s/:@"'<>]{{0,100}}:(?!\d{{1,5}}(?:[/?\#\s]|$))[^\s"'<>]{{1,300}}@
    | (?P<keep10>\b[a-z][a-z0-9+.-]{{1,20}}://)[^\s/@"'<>]{{1,300}}@
    | hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{{8,}}
    | discord(?:app)?\.com/api/(?:v\d{{1,2}}/)?webhooks/\d+/[A-Za-z0-9_-]{{8,}}
    | [a-z0-9-]{{1,60}}\.webhook\.office\.com/\S+ | outlook\.office(?:365)?\.com/webhook/\S+
    | hooks\.zapier\.com/hooks/catch/\S+ | maker\.ifttt\.com/\S+
    | (?P<keep11>/bot)\d{{6,12}}:[A-Za-z0-9_-]{{20,}}
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""By what stands before or around them."""

NAMING = (
    *("key", "token", "secret", "pass", "pwd", "credential", "auth", "cookie", "jwt", "csrf", "otp", "pin", "dsn"),
    *("sig", "code", "bearer", "basic", "session", "connection", "://", "hook", "ifttt", "/bot", "_pw", "-pw"),
    *("_pat", "-pat", "creds", "-u ", "--user"),
)
"""One of these, in lower case, stands in every text in which `BY_NAME` finds something: asked first, as it is cheap."""

BY_SHAPE = re.compile(
    r"""
      -----BEGIN[ ][A-Z0-9 ]{0,40}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----
      .*?(?:-----END[ ][A-Z0-9 ]{0,40}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----|\Z)
    | (?<![A-Za-z0-9])(?:
        (?:sk|pk|rk|csk)-(?:ant-|proj-|live-|test-|or-|svcacct-)?[A-Za-z0-9_-]{12,}   # OpenAI, Anthropic, OpenRouter
      | (?:sk|pk|rk)_(?:live|test|prod)_[A-Za-z0-9]{8,} | whsec_[A-Za-z0-9+/=]{16,}   # Stripe
      | xox[a-z]-[A-Za-z0-9-]{8,} | xoxe\.xox[a-z]-[A-Za-z0-9-]{8,} | xapp-[A-Za-z0-9-]{8,}
      | gh[pousr]_[A-Za-z0-9]{16,} | github_pat_[A-Za-z0-9_]{16,} | gl[a-z]{2,6}-[A-Za-z0-9_=-]{16,}
      | A(?:KI|SI|BI|CC|GP|ID|IP|NP|NV|RO|PK)A[0-9A-Z]{12,}                              # AWS
      | AIza[0-9A-Za-z_-]{20,} | ya29\.[0-9A-Za-z._-]{10,} | 1//0[0-9A-Za-z_-]{10,} | GOCSPX-[0-9A-Za-z_-]{16,}
      | (?:gsk|hf|r8|npm|ntn|jina|fw|tgp_v1|nvapi|lsv2_pt|lsv2_sk|rubygems|figd|figdr|glsa|glc|sbp|tfp|vcp|vck|rnd|PMAK
          |lin_api|lin_oauth|secret|dop_v1|doo_v1|dor_v1|dckr_pat|dckr_oat|shpat|shpss|shpca|shppa|shptka|api_org
          |sb_secret|sb_publishable|atlasv1|pat_na1|ops|e2b|str_live|duffel_live|phc|phx|sntrys|sntryu|napi|patk
          |syt|re|apify_api|trigger|tr_dev|tr_prod|waka|key_live|key_test)[_-][A-Za-z0-9_.=-]{16,}
      | (?:tskey|xai|pplx|tvly|fc|pypi|nvapi|pa|key|dapi|PMAK|sq0atp|sq0csp|sq0idp|EZAK|EZTK|cal|lpt|ctp|exa|bb)
          -[A-Za-z0-9_-]{20,}
      | dapi[0-9a-f]{32} | EAA[A-Za-z0-9]{40,} | SK[0-9a-f]{32} | hv[sbr]\.[A-Za-z0-9_-]{20,}
      | AT[AC]TT3[A-Za-z0-9_=-]{20,}
      | SG\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,} | pat[A-Za-z0-9]{14}\.[0-9a-f]{40,} | AGE-SECRET-KEY-1[0-9A-Z]{20,}
      | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)?                     # JSON web token
      | [MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}                # Discord
      | \d{8,10}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])                                      # Telegram
      )
    """,
    re.VERBOSE | re.DOTALL,
)
"""By themselves, wherever they stand."""
