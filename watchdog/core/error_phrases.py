"""The phrases by which error texts are told apart, one a line; `error_class` says in which order they are asked.

A phrase is a regular expression in which a space stands for spaces, `_` or `-`, one or more, and `<key>` for what opens
a door. A line that begins with `+` goes on with the one before. Upper and lower case are alike, unless the table says
otherwise.
"""

KEY = r"(?:api key|access key|key id|credentials?|password|passcode|bearer|auth(?:entication)? token|secret|login)"

WHO_ASKS = r"""
    authentication error
    invalid authentication
    invalid auth
    not authed
    invalid api key
    UNAUTHENTICATED
    unrecognizedclientexception
    expiredtoken(?:exception)?
    invalidclienttokenid
    signaturedoesnotmatch
    invalidsignatureexception
    missingauthenticationtoken(?:exception)?
    invalid grant
    invalid client
    token revoked
    token expired
    account inactive
    login required
    org login required
    ekm access denied
    unauthori[sz]ed
    not authenticated
    auth(?:entication|orization)? (?:failed|failure|required)
    authentication.{0,40}(?:failed|unsuccessful)
    could not authenticate
    login failed
    could not read username.*
    (?:invalid|incorrect|missing|expired|revoked|wrong|bad|malformed|no) .{0,20}<key>
    <key> (?:.{0,40} )?(?:invalid|incorrect|missing|expired|revoked|wrong|required|denied|disabled)
    <key> (?:is |was )?not (?:found|set|valid|provided|configured|given|authori[sz]ed|recogni[sz]ed)
    (?:missing|revoked|bad|oauth|access|refresh|auth|bot|api|session) token .{0,20}(?:expired|invalid|revoked)
    (?:invalid|expired|revoked|bad|missing) (?!or unexpected)
    +(?:oauth |access |refresh |bearer |auth |bot |api |session )?token(?!\W*(?:in|at|count|limit|on|near|after
    +|while)\b|[:,]?\W*['"<{\[])
    (?:could not|unable to|cannot|failed to) (?:load|locate|find) .{0,10}credentials
    no credentials
    (?:please )?(?:run|use) .{0,12}/login
    not logged in
    please (?:log|sign) in
    log in again
    re authenticate
"""

TOO_LARGE = r"""
    request too large
    request entity too large
    payload too large
    prompt is too long
    input is too long
    context length exceeded
    (?:maximum|max) context.{0,20}
    context window
    context length
    too many (?:input )?tokens(?!.{0,3}please wait)
    exceeds? (?:the |its )?(?:model'?s? )?(?:maximum|max|context|token limit).{0,40}
    string too long
    msg too long
    requires more system memory
"""

SAYS_WHEN = r"""
    wait (?:for )?(?:about |at least )?\d.*
    retry after\\*["']?\W{0,6}\d+
    retry ?delay
    (?:retry|retrying|try|trying|wait|available|back)(?: it)?(?: again)? (?:in|after|at|for) (?:about |around |~)?\d.*
    (?:try again|available again) (?:in (?:a |one |an )|tomorrow|next ).*
    resets .{0,20}(?:\d.*|tomorrow|midnight|next .*)
    reset (?:at|in|on) .{0,20}\d.*
    will (?:be )?reset.*
    please wait .*
    limit reached\|\d+
    limit .{0,30}per (?:second|minute|hour|day)
    quota .{0,80}per (?:second|minute|hour|day)
    (?:requests|tokens|input tokens) per (?:second|minute|min|hour|day)
"""

UNPAID = r"""
    (?:card|payment) .{0,20}(?:declined|failed)
    (?:payment|card) (?:declined|failed)
    (?:trial|licen[cs]e|plan|subscription) (?:has |is )?(?:expired|over)
    (?:hit|reached|used up|exhausted) (?:your|the|its) .{0,20}(?:quota|budget|allowance)
    insufficient\W?_?(?:quota|funds|balance|credits?)
    credit balance
    billing .{0,30}
    payment required
    past due
    (?:not enough|out of|no (?:remaining|more)|low|exhausted your|used all your) .{0,20}credits?
    more credits
    exceeded your current quota
    quota (?:has been |was |is )?exceeded
    exceeded .{0,30}quota
    quota exhausted
    quota used up
    spend(?:ing)? (?:limit|cap)
    budget .{0,20}(?:exceeded|reached)
    usage cap
    servicequotaexceeded(?:exception)?
    monthly .{0,20}limit .{0,20}
    free (?:trial|tier) .{0,30}(?:ended|expired|over)
    (?:account|organi[sz]ation|workspace|project|subscription|user|key|api)(?: \S+)? (?:is |has been |was )
    +(?:not active|inactive|disabled|deactivated|suspended|blocked|banned|terminated|closed|deleted|expired|archived)
    limit .{0,20}(?:this|per) month.*
    upgrade (?:to continue|your plan|your subscription).*
    must be a member of .*
    access terminated(?: error)?
    subscription (?:required|expired|inactive)
"""

PASSING_TYPES = r"""
    overloaded error
    rate limit error
    rate limit exceeded
    api_error
    timeout error
    engine overloaded(?: error)?
    server error
    internal server error
    internal error
    service unavailable(?: error)?
    throttlingexception
    throttledexception
    toomanyrequestsexception
    serviceunavailableexception
    requestlimitexceeded
    modeltimeoutexception
    modelnotreadyexception
    modelstreamerrorexception
    internalserverexception
    internalfailure
    provisionedthroughputexceededexception
    limitexceededexception
    ratelimited
    slowdown
"""

LASTING_TYPES = r"""
    invalid request error
    not found error
    permission error
    billing error
    request too large
    model not found
    invalid prompt
    content policy violation
    content filter
    invalid argument
    invalid model
    unsupported model
    accessdenied(?:exception)?
    validationexception
    resourcenotfoundexception
    optinrequired
    unauthorizedoperation
    missing scope
    channel not found
    not in channel
    is archived
    user not found
    team not found
    users not found
    no permission
    restricted action
    no_text
    cannot dm bot
    user disabled
    method not supported.*
    too many attachments
    invalid (?:blocks|arguments|channel|cursor|name|payload|workspace|team)
    posting to .{0,30} denied
    team access not granted
"""

GRPC_PASSES = r"""
    UNAVAILABLE
    INTERNAL
    DEADLINE_EXCEEDED
    RESOURCE_EXHAUSTED
    ABORTED
    code = (?:Unavailable|Internal|DeadlineExceeded|ResourceExhausted|Aborted|Canceled)
"""

GRPC_LASTS = r"""
    PERMISSION_DENIED
    INVALID_ARGUMENT
    FAILED_PRECONDITION
    NOT_FOUND
    UNIMPLEMENTED
    OUT_OF_RANGE
    code = (?:PermissionDenied|Unauthenticated|InvalidArgument|FailedPrecondition|NotFound|Unimplemented)
"""

SYSTEM_LASTS = r"""
    ENOENT
    EACCES
    EPERM
    EROFS
    ENOSPC
    EDQUOT
    EISDIR
    ENOTDIR
    ENOEXEC
    ENAMETOOLONG
    ELOOP
    ENODEV
    EAUTH
    EINVAL
    CERT_\w+
    DEPTH_ZERO_SELF_SIGNED_CERT
    SELF_SIGNED_CERT_IN_CHAIN
    UNABLE_TO_\w+
    ERR_TLS_CERT\w+
    MODULE_NOT_FOUND
    ERR_MODULE_NOT_FOUND
    ERR_INVALID_\w+
    SQLITE_READONLY
    SQLITE_PERM
    SQLITE_CANTOPEN
    SQLITE_FULL
"""

SYSTEM_PASSES = r"""
    ECONN\w+
    E?TIMEDOUT
    ETIMEOUT
    ESOCKETTIMEDOUT
    ENOTFOUND
    EAI_\w+
    EPIPE
    EHOST\w+
    ENET\w+
    EBUSY
    EAGAIN
    EMFILE
    ENFILE
    ENOMEM
    EPROTO
    ESTALE
    ENOTCONN
    EINTR
    EIO
    ENONET
    EREMOTEIO
    SQLITE_BUSY
    SQLITE_LOCKED
    ERR_NETWORK\w*
    ERR_CONNECTION\w*
    ERR_TIMED_OUT
    ERR_INTERNET\w*
    ERR_NAME_NOT_RESOLVED
    ERR_STREAM_PREMATURE_CLOSE
    UND_ERR_(?:\w+_TIMEOUT|SOCKET|ABORTED)
    ABORT_ERR
"""

WORDS_LASTING = r"""
    (?:do not|don't|does not|doesn't) have .{0,20}(?:access|permission).*
    (?:insufficient|invalid|missing) scopes?
    (?:image|file|input|message|document|prompt|attachment|body) (?:is |was )?too (?:large|long|big)
    which is the maximum allowed.*
    should be a valid .*
    must be (?:between|one of|at least|at most|less than|greater than) .*
    no tool output found.*
    without .{0,20}tool_result.*
    forbidden
    (?:permission|access) (?:was |is |has been )?denied
    missing (?:access|permissions?)
    not authori[sz]ed
    (?:no|insufficient|missing|lacks?|without|have|has) .{0,10}permissions?
    operation not permitted
    not allowed to .{0,30}
    read only file system
    attempt to write a readonly database
    not permitted to .*
    blocked by .{0,20}
    chat not found
    (?:unknown|invalid|no such|unsupported) (?:model|channel|user|option|command|argument|parameter|flag|agent
    +|provider)
    model .{0,60}(?:not found|does not exist|not (?:currently )?supported|not available|deprecated|decommissioned
    +|no longer available|no longer supported|retired|shut down|removed|not a valid|isn'?t available)
    not a valid model(?: id)?
    no endpoints found.*
    no such (?:file|host key|container|image|table|column|key|bucket).*
    (?:file|directory|command|module|package|executable|binary|repository|repo|project|channel|user|endpoint
    +|resource|deployment|bucket|database|table|page|url|route|agent|tool|skill|account|image|container|key|secret
    +|script|chat|workspace|path|branch|remote|job type|profile)s?(?: \S+
    +| file in \S+)? (?:was |is |could )?not (?:be )?found
    does not exist
    doesn'?t exist
    cannot find (?:module|package|the (?:file|path|module)).*
    no module named.*
    (?:unrecogni[sz]ed|unknown|unexpected|invalid|unsupported|missing
    +|extra) (?:request |required |command line |keyword )?(?:option|argument|parameter|flag|field|value for)s?
    is not recogni[sz]ed as .*
    not installed
    cannot execute.*
    \w+: not found(?=\W*\Z)
    bad request
    invalid request
    malformed request
    invalid (?:config|configuration|url|schema|input|json body)
    configuration (?:error|is invalid|invalid|file .*)
    config (?:error|file .*|invalid)
    misconfigured
    (?:is|are|was) not (?:configured|enabled|set|defined in .*)
    environment variable .*
    missing (?:env|environment) .*
    missing (?:required|config|configuration) .*
    must be (?:set|configured|provided).*
    is required
    content policy
    usage policy
    usage policies
    safety (?:system|filter|settings)
    violates? .{0,40}polic(?:y|ies)
    self signed certificate
    certificate (?:has |is )?(?:expired|not (?:yet valid|trusted)|verify failed|revoked|invalid)
    unable to verify .*
    certificate verify failed
    unknown ca
    hostname .{0,20}mismatch
    does not match certificate.*
    altnames
    unable to get (?:local )?issuer certificate
    no space left(?: on device)?
    disk (?:is )?full
    disk quota exceeded
    is not a directory
    is a directory
    exec format error
    repository .{0,60}not found
    (?:bot|user) (?:was blocked|is deactivated|is not a member).*
    cannot send messages to .*
    host key verification failed
    mailbox unavailable
    relay(?:ing)? denied
    not available in your (?:country|region).*
    country, region.*not supported
    disabled (?:by|for) (?:your |an? |the )?(?:admin|organi[sz]ation|owner).*
    has been disabled
"""

WORDS_PASSING = r"""
    typo in the url.*
    failedtoopensocket
    stream disconnected
    rate limit(?:s|ed|ing)?
    too many (?:requests|connections|clients|concurrent .*)
    throttl(?:ed|ing)
    slow down
    overloaded
    over capacity
    at (?:full |max(?:imum)? )?capacity
    (?:insufficient|no|limited) capacity
    high (?:demand|load)
    usage limit(?: reached)?
    concurrency limit.*
    hit your (?:usage )?limit
    temporarily .{0,20}unavailable
    is busy
    timed out
    time out
    timed? out after.*
    time ?out(?:error|exception)?(?! (?:value|option|must|setting|parameter|is not|argument))
    \w*(?:read|connect|connection|write|pool|gateway|request|socket|api|headers|body|response|idle|abort)time ?out
    +(?:error)?
    deadline (?:was )?exceeded
    exceeded (?:the |its )?(?:deadline|timeout)
    \w*abort(?:ed)?error
    aborted (?:after|due|by) .*
    (?:operation|request|run|stream|query|transaction|call|response)(?: was| has been)? aborted
    error: aborted
    aborted a request
    (?:temporarily|currently|service|server|backend|upstream) (?:\w+ )?unavailable
    (?:service|server|site|api|system) .{0,20}(?:maintenance|not ready|starting up|is down)
    under maintenance
    maintenance mode
    bad gateway
    gateway time ?out
    no healthy upstream
    upstream (?:connect|request|error|prematurely).*
    internal (?:server )?error
    connection(?: \S+){0,3} (?:refused|reset|closed|lost|dropped|aborted|terminated|interrupted|failed|error|broken)
    connection error
    (?:lost|closed|broken|dropped) (?:the )?connection
    socket (?:hang up|closed|was closed).*
    broken pipe
    (?:unable|failed|could not|couldn'?t|cannot|can'?t) (?:to )?(?:connect|reach|resolve|fetch|establish) ?.*
    fetch failed
    network (?:error|failure|timeout|issue|is unreachable|is down|unreachable|connection|request failed|changed).*
    (?:host|server) (?:is )?(?:unreachable|down)
    no route to host
    host (?:not found|is down)
    unreachable host
    getaddrinfo.*
    name resolution
    name or service not known
    dns (?:lookup|resolution|error|failure|server|query).*
    nodename nor servname.*
    premature close
    unexpected eof
    peer closed .*
    server (?:has )?disconnected.*
    stream (?:ended|closed|error).*
    terminated early
    (?:typeerror: )?terminated(?=\W*\Z)
    remoteprotocolerror
    incomplete chunked read
    tls handshake .*
    (?:database|table|file|resource) (?:\S+ )?(?:is|was) (?:locked|busy|in use).*
    deadlock
    lock wait.*
    could not obtain lock.*
    could not serialize.*
    database system is .*
    resource temporarily unavailable
    cannot allocate memory
    out of memory
    (?:model|it) is (?:currently |still )?loading
    is currently loading
    warming up
    cold start.*
    (?:please )?(?:try|retry) (?:again|later|your request|shortly)(?: later| shortly)?
    temporary (?:failure|error|issue|outage).*
    temporarily
    provider returned error
    something went wrong.*
    unexpected server .*
"""

LANGUAGES_LASTING = r"""
    keine berechtigung
    zugriff verweigert
    nicht autorisiert
    datei oder verzeichnis nicht gefunden
    datei nicht gefunden
    befehl nicht gefunden
    kommando nicht gefunden
    ungültiger? (?:api\W?schlüssel|zugangsdaten|token|anmeldedaten)
    anmeldung fehlgeschlagen
    guthaben .{0,20}(?:aufgebraucht|nicht ausreichend|reicht nicht)
    kein speicherplatz
    auf dem gerät ist kein
    permission non accordée
    accès refusé
    non autorisé
    aucun fichier ou dossier
    fichier introuvable
    commande introuvable
    clé api (?:invalide|manquante|incorrecte)
    solde insuffisant
    crédits? insuffisants?
    authentification a échoué
    permiso denegado
    acceso denegado
    no autorizado
    no existe el (?:archivo|fichero)
    orden no encontrada
    saldo insuficiente
    clave (?:de )?api (?:no válida|inválida|incorrecta)
    credenciales (?:no válidas|inválidas)
    permesso negato
    accesso negato
    non autorizzato
    file o directory non esistente
    comando non trovato
    credito insufficiente
    permissão negada
    acesso negado
    não autorizado
    arquivo ou diretório inexistente
    ficheiro ou directoria inexistente
    comando não encontrado
    отказано в доступе
    доступ запрещ
    нет такого файла
    недостаточно средств
    неверный (?:api\W)?ключ
    команда не найдена
    余额不足
    账户欠费
    欠费
    无权
    权限不足
    没有权限
    未授权
    密钥(?:无效|错误)
    无效的.{0,8}(?:密钥|令牌)
    模型不存在
    没有那个文件或目录
    配额(?:已)?用尽
    認証に失敗
    権限がありません
    許可がありません
    ファイルやディレクトリはありません
    見つかりません
    残高.{0,4}不足
    無効な.{0,4}キー
    권한이 없
    잔액.{0,4}부족
    인증.{0,4}실패
    파일이나 디렉터리가 없
    그런 파일이나 디렉터리가 없
"""

LANGUAGES_PASSING = r"""
    zeitüberschreitung
    zeitlimit .{0,20}überschritten
    verbindung(?:saufbau)? (?:abgelehnt|verweigert|zurückgesetzt|unterbrochen|verloren|getrennt)
    verbindung .{0,40}(?:zurückgesetzt|abgelehnt|geschlossen|fehlgeschlagen)
    netzwerk ist nicht erreichbar
    zu viele anfragen
    überlastet
    vorübergehend nicht (?:verfügbar|erreichbar)
    namensauflösung
    keine route zum zielrechner
    später (?:noch ?einmal|erneut)
    délai .{0,40}dépassé
    connexion (?:refusée|réinitialisée|perdue|interrompue|fermée)
    réseau .{0,20}(?:inaccessible|accessible)
    trop de requêtes
    temporairement indisponible
    réessaye[rz]
    surchargé
    échec temporaire
    tiempo de espera
    conexión (?:rehusada|rechazada|reinicializada|perdida|cerrada)
    red (?:es )?inaccesible
    demasiadas (?:solicitudes|peticiones)
    temporalmente no disponible
    int[eé]ntelo (?:de nuevo|más tarde)
    sobrecargado
    connessione (?:rifiutata|interrotta|persa)
    tempo scaduto
    troppe richieste
    temporaneamente non disponibile
    conexão (?:recusada|perdida|fechada|redefinida)
    tempo (?:limite )?esgotado
    muitas (?:requisições|solicitações)
    temporariamente indisponível
    время ожидания
    превышен(?:о)? (?:время|лимит запросов)
    в соединении отказано
    соединение (?:сброшено|разорвано|закрыто)
    сеть недоступна
    слишком много запросов
    超时
    连接(?:被)?(?:拒绝|重置|中断)
    请求过(?:于频繁|多)
    频率(?:限制|超限)
    稍后(?:再试|重试)
    服务(?:繁忙|暂时不可用|不可用)
    速率限制
    并发.{0,6}(?:超|限)
    网络(?:错误|异常|不可达)
    负载过高
    タイムアウト
    接続(?:が|を)?(?:拒否|リセット|切断)
    リクエストが多すぎ
    しばらく.{0,10}(?:して|待って)
    混雑
    一時的に利用
    過負荷
    시간.{0,3}초과
    연결.{0,6}(?:거부|끊|재설정)
    요청이 너무 많
    잠시 후
    일시적
"""

REFUSED_FOR_NOW = r"""
    (?:secondary |api |user )?rate limit exceeded
    (?:user)?ratelimitexceeded
    rate limited
    too many requests
"""
