CREATE FUNCTION public.audit_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the audit log is only appended to'; END $$;
CREATE FUNCTION public.data_kinds_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the catalogue: only appended to'; END $$;
CREATE FUNCTION public.delivery_attempts_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the access log: only appended to'; END $$;
CREATE FUNCTION public.outlets_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'outlets: only appended to'; END $$;
CREATE FUNCTION public.published_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'published values are only appended to'; END $$;
CREATE FUNCTION public.receipt_parts_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'receipts: only appended to'; END $$;
CREATE FUNCTION public.receipts_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'receipts: only appended to'; END $$;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.attempts (
    subject text NOT NULL COLLATE pg_catalog."C",
    failures bigint NOT NULL,
    last_us bigint NOT NULL,
    until_us bigint NOT NULL
);
COMMENT ON COLUMN public.attempts.subject IS 'user:… or address:…';
COMMENT ON COLUMN public.attempts.until_us IS 'refused before it';
CREATE TABLE public.audit (
    number bigint NOT NULL,
    at_us bigint NOT NULL,
    actor text NOT NULL,
    origin text NOT NULL,
    action text NOT NULL COLLATE pg_catalog."C",
    outcome text NOT NULL,
    subject text NOT NULL,
    community text COLLATE pg_catalog."C",
    before text,
    after text,
    previous text NOT NULL,
    digest text NOT NULL
);
COMMENT ON COLUMN public.audit.number IS '1, 2, 3 … without gaps';
COMMENT ON COLUMN public.audit.actor IS 'user:…, token:…, cli:…, system:… or anonymous';
COMMENT ON COLUMN public.audit.origin IS 'network address, or the host''s name';
COMMENT ON COLUMN public.audit.outcome IS 'done, refused or failed';
COMMENT ON COLUMN public.audit.subject IS 'what it was done to, such as user:… or device:…';
COMMENT ON COLUMN public.audit.community IS 'NULL when it is about more than one or none';
COMMENT ON COLUMN public.audit.before IS 'canonical JSON object';
COMMENT ON COLUMN public.audit.after IS 'canonical JSON object';
COMMENT ON COLUMN public.audit.previous IS 'digest of the entry before';
COMMENT ON COLUMN public.audit.digest IS 'SHA-256 of this entry with the digest before it';
CREATE TABLE public.blinds (
    id bigint NOT NULL,
    start_us bigint NOT NULL,
    end_us bigint,
    recorded_us bigint NOT NULL,
    revoked_us bigint,
    device text COLLATE pg_catalog."C",
    kind text COLLATE pg_catalog."C",
    community text COLLATE pg_catalog."C",
    cause text NOT NULL
);
CREATE SEQUENCE public.blinds_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.blinds_id_seq OWNED BY public.blinds.id;
CREATE TABLE public.communities (
    id text NOT NULL COLLATE pg_catalog."C",
    name_zh text NOT NULL,
    name_en text NOT NULL
);
CREATE TABLE public.counters (
    name text NOT NULL COLLATE pg_catalog."C",
    value bigint NOT NULL
);
CREATE TABLE public.data_kinds (
    id text NOT NULL COLLATE pg_catalog."C",
    recorded_us bigint NOT NULL,
    since_us bigint NOT NULL,
    says text,
    said_by text NOT NULL
);
COMMENT ON COLUMN public.data_kinds.recorded_us IS 'since when it is known';
COMMENT ON COLUMN public.data_kinds.says IS 'canonical JSON object; NULL: it left the catalogue';
COMMENT ON COLUMN public.data_kinds.said_by IS 'user:…, token:… or cli:…, as in the audit log';
CREATE TABLE public.deletions (
    id bigint NOT NULL,
    what text NOT NULL,
    before_us bigint NOT NULL,
    count bigint NOT NULL,
    at_us bigint NOT NULL
);
CREATE SEQUENCE public.deletions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.deletions_id_seq OWNED BY public.deletions.id;
CREATE TABLE public.deliveries (
    outlet text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    made_us bigint NOT NULL,
    format text NOT NULL,
    content bytea,
    size bigint NOT NULL,
    digest text NOT NULL,
    parts text NOT NULL,
    records bigint NOT NULL,
    state text NOT NULL,
    attempts bigint NOT NULL,
    next_us bigint NOT NULL,
    sent_us bigint,
    acknowledged_us bigint,
    error text
);
COMMENT ON COLUMN public.deliveries.number IS '1, 2, 3 … of the outlet';
COMMENT ON COLUMN public.deliveries.format IS 'json or csv';
COMMENT ON COLUMN public.deliveries.content IS 'as it is sent; NULL: kept long enough after its receipt';
COMMENT ON COLUMN public.deliveries.size IS 'of the content, bytes';
COMMENT ON COLUMN public.deliveries.digest IS 'SHA-256 of the content, hexadecimal';
COMMENT ON COLUMN public.deliveries.parts IS 'JSON list: kinds with counts and times';
COMMENT ON COLUMN public.deliveries.state IS 'waiting, acknowledged or split';
COMMENT ON COLUMN public.deliveries.next_us IS 'not to be sent before';
COMMENT ON COLUMN public.deliveries.sent_us IS 'when it was sent last';
COMMENT ON COLUMN public.deliveries.error IS 'why the last attempt failed';
CREATE TABLE public.delivery_attempts (
    id bigint NOT NULL,
    at_us bigint NOT NULL,
    outlet text NOT NULL COLLATE pg_catalog."C",
    delivery text,
    action text NOT NULL,
    actor text NOT NULL,
    address text NOT NULL,
    outcome text NOT NULL,
    detail text NOT NULL
);
COMMENT ON COLUMN public.delivery_attempts.delivery IS 'its id; NULL: of none';
COMMENT ON COLUMN public.delivery_attempts.action IS 'send, test, pull, commit or split';
COMMENT ON COLUMN public.delivery_attempts.actor IS 'system:scheduler, or as in the audit log';
COMMENT ON COLUMN public.delivery_attempts.address IS 'of the far side';
COMMENT ON COLUMN public.delivery_attempts.outcome IS 'done, failed or refused';
CREATE SEQUENCE public.delivery_attempts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.delivery_attempts_id_seq OWNED BY public.delivery_attempts.id;
CREATE TABLE public.delivery_days (
    outlet text NOT NULL COLLATE pg_catalog."C",
    delivery bigint NOT NULL,
    data_kind text NOT NULL COLLATE pg_catalog."C",
    day text NOT NULL,
    count bigint NOT NULL,
    digest text NOT NULL
);
COMMENT ON COLUMN public.delivery_days.delivery IS 'its number';
COMMENT ON COLUMN public.delivery_days.day IS 'YYYY-MM-DD in the installation''s zone';
COMMENT ON COLUMN public.delivery_days.digest IS 'sum of SHA-256 of record ids modulo 2^256, hexadecimal';
CREATE TABLE public.device_credentials (
    device text NOT NULL COLLATE pg_catalog."C",
    entry text NOT NULL,
    issued_us bigint NOT NULL,
    generation bigint NOT NULL,
    revoked_us bigint
);
COMMENT ON COLUMN public.device_credentials.entry IS '$7$… as Mosquitto''s password files have it';
COMMENT ON COLUMN public.device_credentials.generation IS 'how often one was issued';
CREATE TABLE public.devices (
    id text NOT NULL COLLATE pg_catalog."C",
    community text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    name_zh text NOT NULL,
    name_en text NOT NULL,
    building text NOT NULL,
    location text NOT NULL,
    tags text NOT NULL,
    vendor text NOT NULL,
    model text NOT NULL,
    serial text NOT NULL,
    timeout_us bigint,
    max_lateness_us bigint NOT NULL,
    clock_untrusted boolean NOT NULL,
    commissioned_us bigint,
    retired_us bigint,
    commissioned_recorded_us bigint,
    retired_recorded_us bigint,
    since_us bigint,
    said_by text
);
COMMENT ON COLUMN public.devices.tags IS 'JSON list of text';
COMMENT ON COLUMN public.devices.since_us IS 'when this was said; NULL: before that was written down';
COMMENT ON COLUMN public.devices.said_by IS 'user:…, token:… or cli:…, as in the audit log';
CREATE TABLE public.discovered (
    device text NOT NULL COLLATE pg_catalog."C",
    community text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    first_us bigint NOT NULL,
    last_us bigint NOT NULL
);
CREATE TABLE public.events (
    id bigint NOT NULL,
    at_us bigint NOT NULL,
    recorded_us bigint NOT NULL,
    topic text NOT NULL,
    body text NOT NULL,
    key text
);
COMMENT ON COLUMN public.events.body IS 'canonical JSON object';
COMMENT ON COLUMN public.events.key IS 'what makes a repetition of the same event recognisable';
CREATE SEQUENCE public.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.events_id_seq OWNED BY public.events.id;
CREATE TABLE public.incidents (
    id bigint NOT NULL,
    community text NOT NULL COLLATE pg_catalog."C",
    opened_us bigint NOT NULL,
    first_us bigint NOT NULL,
    start_us bigint NOT NULL,
    devices bigint NOT NULL,
    silent bigint NOT NULL,
    of bigint NOT NULL,
    ended_us bigint,
    recorded_us bigint NOT NULL,
    confirmed_us bigint,
    confirmed_by text,
    confirm_reason text,
    approved_us bigint,
    approved_by text,
    dismissed_us bigint,
    dismissed_by text,
    dismiss_reason text,
    blind_id bigint
);
COMMENT ON COLUMN public.incidents.devices IS 'the most that were silent together';
COMMENT ON COLUMN public.incidents.silent IS 'those that are silent still';
COMMENT ON COLUMN public.incidents.of IS 'in service and not in maintenance';
COMMENT ON COLUMN public.incidents.confirmed_by IS 'user:…, token:… or cli:…, as in the audit log';
COMMENT ON COLUMN public.incidents.blind_id IS 'what approval recorded last';
CREATE SEQUENCE public.incidents_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.incidents_id_seq OWNED BY public.incidents.id;
CREATE TABLE public.invitations (
    id bigint NOT NULL,
    digest text NOT NULL,
    user_id bigint,
    created_us bigint NOT NULL,
    expires_us bigint NOT NULL,
    used_us bigint
);
COMMENT ON COLUMN public.invitations.digest IS 'SHA-256 of the code';
COMMENT ON COLUMN public.invitations.user_id IS 'NULL for the first administrator';
CREATE SEQUENCE public.invitations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.invitations_id_seq OWNED BY public.invitations.id;
CREATE TABLE public.job_runs (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    due_us bigint NOT NULL,
    started_us bigint NOT NULL,
    finished_us bigint,
    error text
);
CREATE SEQUENCE public.job_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.job_runs_id_seq OWNED BY public.job_runs.id;
CREATE TABLE public.kinds (
    id text NOT NULL COLLATE pg_catalog."C",
    name_zh text NOT NULL,
    name_en text NOT NULL,
    interval_us bigint,
    timeout_us bigint
);
CREATE TABLE public.life_changes (
    id bigint NOT NULL,
    what text NOT NULL,
    device text NOT NULL COLLATE pg_catalog."C",
    successor text COLLATE pg_catalog."C",
    at_us bigint NOT NULL,
    reason text NOT NULL,
    recorded_us bigint NOT NULL,
    author text NOT NULL,
    known_us bigint,
    approved_us bigint,
    approved_by text,
    refused_us bigint,
    refused_by text,
    refuse_reason text,
    cancelled_us bigint,
    cancelled_by text,
    cancel_reason text
);
COMMENT ON COLUMN public.life_changes.what IS 'commission, retire or replace';
COMMENT ON COLUMN public.life_changes.successor IS 'what takes its place';
COMMENT ON COLUMN public.life_changes.known_us IS 'since when it counts; NULL: not approved';
CREATE SEQUENCE public.life_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.life_changes_id_seq OWNED BY public.life_changes.id;
CREATE TABLE public.maintenance (
    id bigint NOT NULL,
    start_us bigint NOT NULL,
    end_us bigint,
    recorded_us bigint NOT NULL,
    cancelled_us bigint,
    device text COLLATE pg_catalog."C",
    kind text COLLATE pg_catalog."C",
    community text COLLATE pg_catalog."C",
    reason text NOT NULL,
    author text NOT NULL,
    building text,
    tag text,
    weekdays text,
    begins_min integer,
    ends_min integer,
    zone text,
    known_us bigint,
    approved_us bigint,
    approved_by text,
    refused_us bigint,
    refused_by text,
    refuse_reason text,
    cancelled_by text,
    cancel_reason text
);
COMMENT ON COLUMN public.maintenance.weekdays IS 'JSON list of 1 (Monday) to 7; NULL: one window, start to end';
COMMENT ON COLUMN public.maintenance.begins_min IS 'local minute of the day at which a window of a weekday begins';
COMMENT ON COLUMN public.maintenance.ends_min IS 'and ends; on the next day unless later than begins_min';
COMMENT ON COLUMN public.maintenance.zone IS 'of these minutes, as in the tz database';
COMMENT ON COLUMN public.maintenance.known_us IS 'since when it counts; NULL: not approved';
CREATE SEQUENCE public.maintenance_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.maintenance_id_seq OWNED BY public.maintenance.id;
CREATE TABLE public.meta (
    key text NOT NULL,
    value text NOT NULL
);
CREATE TABLE public.outlet_positions (
    outlet text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    since_us bigint NOT NULL,
    quiet_us bigint NOT NULL,
    number bigint NOT NULL,
    built_us bigint,
    most_records bigint,
    withheld text NOT NULL,
    stuck text,
    holder text,
    held_until_us bigint
);
COMMENT ON COLUMN public.outlet_positions."position" IS 'order of the last record that was looked at';
COMMENT ON COLUMN public.outlet_positions.since_us IS 'no record behind it was received before';
COMMENT ON COLUMN public.outlet_positions.quiet_us IS 'up to when quiet was stated';
COMMENT ON COLUMN public.outlet_positions.number IS 'of the last delivery';
COMMENT ON COLUMN public.outlet_positions.built_us IS 'when the last delivery was made';
COMMENT ON COLUMN public.outlet_positions.most_records IS 'fewer than the outlet says: its far side took no more';
COMMENT ON COLUMN public.outlet_positions.withheld IS 'JSON object: counts by data kind and reason';
COMMENT ON COLUMN public.outlet_positions.stuck IS 'why no delivery is made; NULL: nothing is in the way';
COMMENT ON COLUMN public.outlet_positions.holder IS 'the process that sends now';
CREATE TABLE public.outlets (
    id text NOT NULL COLLATE pg_catalog."C",
    recorded_us bigint NOT NULL,
    says text,
    said_by text NOT NULL
);
COMMENT ON COLUMN public.outlets.recorded_us IS 'from when on it holds and is known';
COMMENT ON COLUMN public.outlets.says IS 'canonical JSON object; NULL: it was removed';
COMMENT ON COLUMN public.outlets.said_by IS 'user:…, token:… or cli:…, as in the audit log';
CREATE TABLE public.past_devices (
    number bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    community text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    name_zh text NOT NULL,
    name_en text NOT NULL,
    building text NOT NULL,
    location text NOT NULL,
    tags text NOT NULL,
    vendor text NOT NULL,
    model text NOT NULL,
    serial text NOT NULL,
    timeout_us bigint,
    max_lateness_us bigint NOT NULL,
    clock_untrusted boolean NOT NULL,
    commissioned_us bigint,
    retired_us bigint,
    commissioned_recorded_us bigint,
    retired_recorded_us bigint,
    since_us bigint,
    said_by text,
    until_us bigint NOT NULL
);
COMMENT ON COLUMN public.past_devices.id IS 'of the device';
COMMENT ON COLUMN public.past_devices.tags IS 'JSON list of text';
COMMENT ON COLUMN public.past_devices.since_us IS 'when this was said; NULL: before that was written down';
COMMENT ON COLUMN public.past_devices.said_by IS 'user:…, token:… or cli:…, as in the audit log';
COMMENT ON COLUMN public.past_devices.until_us IS 'when something else was said of it';
CREATE SEQUENCE public.past_devices_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.past_devices_number_seq OWNED BY public.past_devices.number;
CREATE TABLE public.planned (
    community text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    quantity bigint NOT NULL
);
CREATE TABLE public.policies (
    scope text NOT NULL,
    subject text NOT NULL COLLATE pg_catalog."C",
    since_us bigint NOT NULL,
    timeout_us bigint,
    max_lateness_us bigint,
    clock_untrusted boolean,
    community text COLLATE pg_catalog."C",
    kind text COLLATE pg_catalog."C",
    interval_us bigint,
    recorded_us bigint NOT NULL
);
COMMENT ON COLUMN public.policies.scope IS 'device, community, kind or default';
COMMENT ON COLUMN public.policies.subject IS 'the id of that device, community or kind, or all';
COMMENT ON COLUMN public.policies.community IS 'of a device: where it belonged from then on';
COMMENT ON COLUMN public.policies.kind IS 'of a device: what it was from then on';
COMMENT ON COLUMN public.policies.recorded_us IS 'since when it is known';
CREATE TABLE public.published (
    name text NOT NULL COLLATE pg_catalog."C",
    at_us bigint NOT NULL,
    known_us bigint NOT NULL,
    numerator bigint NOT NULL,
    denominator bigint NOT NULL,
    figures text NOT NULL,
    digest text NOT NULL,
    sequence bigint NOT NULL,
    inputs text NOT NULL,
    inputs_digest text NOT NULL,
    previous text NOT NULL,
    link text NOT NULL
);
COMMENT ON COLUMN public.published.figures IS 'canonical JSON object';
COMMENT ON COLUMN public.published.digest IS 'SHA-256 of figures in UTF-8, hexadecimal';
COMMENT ON COLUMN public.published.sequence IS '1, 2, 3 … without gaps, over all names';
COMMENT ON COLUMN public.published.inputs IS 'canonical JSON object: what it was worked out from';
COMMENT ON COLUMN public.published.inputs_digest IS 'SHA-256 of inputs in UTF-8, hexadecimal';
COMMENT ON COLUMN public.published.previous IS 'link of the value before it in sequence';
COMMENT ON COLUMN public.published.link IS 'SHA-256 of this value with the link before it';
CREATE TABLE public.quarantine (
    number bigint NOT NULL,
    observed_us bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    topic text NOT NULL,
    payload bytea NOT NULL,
    size bigint NOT NULL
);
CREATE TABLE public.receipt_parts (
    receipt bigint NOT NULL,
    data_kind text NOT NULL COLLATE pg_catalog."C",
    community text NOT NULL COLLATE pg_catalog."C",
    outlet text NOT NULL COLLATE pg_catalog."C",
    acknowledged_us bigint NOT NULL,
    recorded_us bigint NOT NULL,
    count bigint NOT NULL,
    first_us bigint,
    last_us bigint,
    quiet_from_us bigint,
    quiet_until_us bigint
);
COMMENT ON COLUMN public.receipt_parts.first_us IS 'least time of a record that is known';
COMMENT ON COLUMN public.receipt_parts.quiet_from_us IS 'nothing else happened from then';
COMMENT ON COLUMN public.receipt_parts.quiet_until_us IS 'until then';
CREATE TABLE public.receipts (
    number bigint NOT NULL,
    outlet text NOT NULL COLLATE pg_catalog."C",
    delivery text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL,
    parts text NOT NULL,
    answer text NOT NULL,
    sent_us bigint NOT NULL,
    acknowledged_us bigint NOT NULL,
    recorded_us bigint NOT NULL,
    previous text NOT NULL,
    link text NOT NULL
);
COMMENT ON COLUMN public.receipts.number IS '1, 2, 3 … without gaps';
COMMENT ON COLUMN public.receipts.digest IS 'SHA-256 of the content as it was sent, hexadecimal';
COMMENT ON COLUMN public.receipts.parts IS 'JSON list: kinds with counts and times';
COMMENT ON COLUMN public.receipts.answer IS 'JSON object: what the far side said';
COMMENT ON COLUMN public.receipts.recorded_us IS 'since when it is known';
COMMENT ON COLUMN public.receipts.previous IS 'link of the receipt before';
COMMENT ON COLUMN public.receipts.link IS 'SHA-256 of this receipt with the link before it';
CREATE TABLE public.repeats (
    outlet text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    again_of bigint NOT NULL
);
COMMENT ON COLUMN public.repeats.number IS 'of the delivery that was made again';
COMMENT ON COLUMN public.repeats.again_of IS 'number of one that it repeats';
CREATE TABLE public.runs (
    device text NOT NULL COLLATE pg_catalog."C",
    start_us bigint NOT NULL,
    recorded_us bigint NOT NULL,
    since_us bigint NOT NULL,
    end_us bigint,
    evidence smallint NOT NULL,
    superseded_us bigint
);
CREATE TABLE public.sessions (
    id bigint NOT NULL,
    digest text NOT NULL,
    user_id bigint NOT NULL,
    created_us bigint NOT NULL,
    last_us bigint NOT NULL,
    expires_us bigint NOT NULL,
    revoked_us bigint,
    address text NOT NULL,
    agent text NOT NULL
);
COMMENT ON COLUMN public.sessions.digest IS 'SHA-256 of the secret in the cookie';
CREATE SEQUENCE public.sessions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.sessions_id_seq OWNED BY public.sessions.id;
CREATE TABLE public.sharing_reports (
    number bigint NOT NULL,
    outlet text NOT NULL COLLATE pg_catalog."C",
    day text NOT NULL COLLATE pg_catalog."C",
    through bigint,
    recorded_us bigint NOT NULL,
    said_by text NOT NULL,
    theirs text NOT NULL,
    ours text NOT NULL
);
COMMENT ON COLUMN public.sharing_reports.day IS '2026-11-23, in the zone of PULSE_TIMEZONE';
COMMENT ON COLUMN public.sharing_reports.through IS 'number of the last delivery that it has; NULL: it has none, or does not say';
COMMENT ON COLUMN public.sharing_reports.said_by IS 'user:… or token:…, as in the audit log';
COMMENT ON COLUMN public.sharing_reports.theirs IS 'JSON object: count and digest by kind of data';
COMMENT ON COLUMN public.sharing_reports.ours IS 'likewise, as it was then';
CREATE SEQUENCE public.sharing_reports_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.sharing_reports_number_seq OWNED BY public.sharing_reports.number;
CREATE TABLE public.tokens (
    id bigint NOT NULL,
    digest text NOT NULL,
    hint text NOT NULL,
    label text NOT NULL,
    user_id bigint NOT NULL,
    scopes text NOT NULL,
    communities text,
    created_us bigint NOT NULL,
    expires_us bigint NOT NULL,
    last_us bigint,
    last_address text,
    revoked_us bigint
);
COMMENT ON COLUMN public.tokens.digest IS 'SHA-256 of the token';
COMMENT ON COLUMN public.tokens.hint IS 'its first characters, to recognise it by';
COMMENT ON COLUMN public.tokens.scopes IS 'JSON list of permissions';
COMMENT ON COLUMN public.tokens.communities IS 'JSON list of ids; NULL means all of its owner';
CREATE SEQUENCE public.tokens_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.tokens_id_seq OWNED BY public.tokens.id;
CREATE TABLE public.users (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    display text NOT NULL,
    role text NOT NULL,
    communities text,
    outlets text NOT NULL,
    password_hash text,
    password_us bigint,
    created_us bigint NOT NULL,
    disabled_us bigint
);
COMMENT ON COLUMN public.users.name IS 'lower case, unique';
COMMENT ON COLUMN public.users.communities IS 'JSON list of ids; NULL means all, those to come too';
COMMENT ON COLUMN public.users.outlets IS 'JSON list of ids';
COMMENT ON COLUMN public.users.password_hash IS 'NULL until one is chosen';
COMMENT ON COLUMN public.users.password_us IS 'when it was chosen';
CREATE SEQUENCE public.users_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.users_id_seq OWNED BY public.users.id;
CREATE TABLE public.watermark (
    id integer NOT NULL,
    through_us bigint NOT NULL,
    listening boolean NOT NULL,
    written_us bigint NOT NULL,
    session text NOT NULL
);
COMMENT ON COLUMN public.watermark.id IS 'always 1';
ALTER TABLE ONLY public.blinds ALTER COLUMN id SET DEFAULT nextval('public.blinds_id_seq'::regclass);
ALTER TABLE ONLY public.deletions ALTER COLUMN id SET DEFAULT nextval('public.deletions_id_seq'::regclass);
ALTER TABLE ONLY public.delivery_attempts ALTER COLUMN id SET DEFAULT nextval('public.delivery_attempts_id_seq'::regclass);
ALTER TABLE ONLY public.events ALTER COLUMN id SET DEFAULT nextval('public.events_id_seq'::regclass);
ALTER TABLE ONLY public.incidents ALTER COLUMN id SET DEFAULT nextval('public.incidents_id_seq'::regclass);
ALTER TABLE ONLY public.invitations ALTER COLUMN id SET DEFAULT nextval('public.invitations_id_seq'::regclass);
ALTER TABLE ONLY public.job_runs ALTER COLUMN id SET DEFAULT nextval('public.job_runs_id_seq'::regclass);
ALTER TABLE ONLY public.life_changes ALTER COLUMN id SET DEFAULT nextval('public.life_changes_id_seq'::regclass);
ALTER TABLE ONLY public.maintenance ALTER COLUMN id SET DEFAULT nextval('public.maintenance_id_seq'::regclass);
ALTER TABLE ONLY public.past_devices ALTER COLUMN number SET DEFAULT nextval('public.past_devices_number_seq'::regclass);
ALTER TABLE ONLY public.sessions ALTER COLUMN id SET DEFAULT nextval('public.sessions_id_seq'::regclass);
ALTER TABLE ONLY public.sharing_reports ALTER COLUMN number SET DEFAULT nextval('public.sharing_reports_number_seq'::regclass);
ALTER TABLE ONLY public.tokens ALTER COLUMN id SET DEFAULT nextval('public.tokens_id_seq'::regclass);
ALTER TABLE ONLY public.users ALTER COLUMN id SET DEFAULT nextval('public.users_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0010');
INSERT INTO public.attempts VALUES ('user:x', 7, 1700000000000000, 1700000000000030);
INSERT INTO public.audit VALUES (1, 1700000000000000, 'cli:root', 'host', 'user.create', 'done', 'user:wang', NULL, NULL, '{"communities":["xinjinglou"],"disabled":false,"display":"王工","name":"wang","outlets":[],"role":"manager"}', '0000000000000000000000000000000000000000000000000000000000000000', 'a65a5af683e4247a5ba2764be070fc52ec6305e9f524502391672a4ae2c488e0');
INSERT INTO public.blinds VALUES (1, 1700000000000000, 1700000000000009, 1700000000000010, 1700000000000020, NULL, NULL, 'xinjinglou', '断线 no connection');
INSERT INTO public.communities VALUES ('xinjinglou', '新景楼', 'Xinjinglou');
INSERT INTO public.communities VALUES ('yiminyuan', '益民园', 'Yiminyuan');
INSERT INTO public.counters VALUES ('coverage', 0);
INSERT INTO public.counters VALUES ('registry', 9);
INSERT INTO public.counters VALUES ('catalogue', 1);
INSERT INTO public.counters VALUES ('outlets', 1);
INSERT INTO public.data_kinds VALUES ('gas_reading', 1700000000000001, 1700000000000000, '{"freshness_s":86400.0,"id":"gas_reading","masked":{},"name_en":"Gas","name_zh":"燃气","personal":false,"quiet":false,"schema":{},"sources":["gas_alarm"]}', 'cli:root');
INSERT INTO public.deletions VALUES (1, 'messages', 1700000000000000, 5, 1700000000000001);
INSERT INTO public.deliveries VALUES ('fire', 1, 1700000000000020, 'json', '\x7b22666f726d223a317d', 10, 'fd38380720bcaff6c087579c860d2096fdc083e3642b9c84c715880cecb6fec9', '[{"data_kind":"gas_reading","community":"xinjinglou","count":2,"first_us":1700000000000001,"last_us":1700000000000003,"quiet_from_us":null,"quiet_until_us":null},{"data_kind":"perimeter_event","community":"xinjinglou","count":0,"first_us":null,"last_us":null,"quiet_from_us":1700000000000000,"quiet_until_us":1700000000000009}]', 2, 'waiting', 0, 1700000000000020, NULL, NULL, NULL);
INSERT INTO public.delivery_attempts VALUES (1, 1700000000000021, 'fire', 'fire-1', 'send', 'system:scheduler', 'fire.example:443', 'done', '好');
INSERT INTO public.delivery_days VALUES ('fire', 1, 'gas_reading', '2023-11-15', 2, '0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f');
INSERT INTO public.device_credentials VALUES ('cam-1', '$7$901$c2FsdA==$aGFzaA==', 1700000000000000, 2, 1700000000000005);
INSERT INTO public.devices VALUES ('cam-1', 'xinjinglou', 'camera', '大门摄像机', 'Gate camera', '1 号楼', '大门', '["室外","gate"]', '海康', 'DS-2CD', 'SN 0001', 90500000, 3600000000, true, 1700000000000000, 1700000000000010, 1700000000000001, 1700000000000011, 1700000000000090, 'user:wang');
INSERT INTO public.discovered VALUES ('new-1', 'xinjinglou', 'camera', 1700000000000003, 1700000000000003);
INSERT INTO public.events VALUES (1, 1700000000000000, 1700000000000001, 'transition', '{"device":"cam-1","名":"门"}', 'cam-1/1');
INSERT INTO public.incidents VALUES (1, 'xinjinglou', 1700000000000050, 1700000000000001, 1700000000000005, 100, 90, 118, 1700000000000070, 1700000000000051, 1700000000000060, 'user:wang', '断网', NULL, NULL, NULL, NULL, NULL, 1);
INSERT INTO public.invitations VALUES (1, '5694d08a2e53ffcae0c3103e5ad6f6076abd960eb1f8a56577040bc1028f702b', 1, 1700000000000000, 1700000000000009, NULL);
INSERT INTO public.job_runs VALUES (1, 'minute', 1700000000000000, 1700000000000001, 1700000000000002, '出错');
INSERT INTO public.kinds VALUES ('camera', '摄像机', 'Camera', 60000000, 180000000);
INSERT INTO public.kinds VALUES ('gas_alarm', '可燃气体报警器', 'Gas alarm', 30000000, 90000000);
INSERT INTO public.life_changes VALUES (1, 'replace', 'cam-1', 'cam-2', 1700000000000009, '到期', 1700000000000010, 'user:wang', 1700000000000011, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.maintenance VALUES (1, 1700000000000000, 1700000000000060, 1699999999999995, 1700000000000030, 'cam-1', NULL, NULL, '换电池', '王工', NULL, NULL, NULL, NULL, NULL, NULL, 1699999999999995, NULL, NULL, NULL, NULL, NULL, '王工', '');
INSERT INTO public.maintenance VALUES (2, 1700000000000000, 1701000000000000, 1700000000000007, NULL, NULL, 'camera', 'xinjinglou', '换灯', 'user:wang', '1 号楼', '室外', '[1, 4]', 1320, 120, 'Asia/Shanghai', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.maintenance VALUES (3, 1700000000000000, 1701000000000000, 1700000000000007, NULL, NULL, 'camera', 'xinjinglou', '换灯', 'user:wang', '1 号楼', '室外', '[1, 4]', 1320, 120, 'Asia/Shanghai', NULL, NULL, NULL, 1700000000000008, 'user:li', '重复', NULL, NULL);
INSERT INTO public.maintenance VALUES (4, 1700000000000000, 1701000000000000, 1700000000000007, 1700000000000012, NULL, 'camera', 'xinjinglou', '换灯', 'user:wang', '1 号楼', '室外', '[1, 4]', 1320, 120, 'Asia/Shanghai', 1700000000000009, 1700000000000009, 'user:li', NULL, NULL, NULL, 'user:li', '改期');
INSERT INTO public.meta VALUES ('coverage_start_us', '1699999999999999');
INSERT INTO public.meta VALUES ('published_head', '1 1e0481a8955900a0da78114dc4f97958887294f334862e8df8dec32579d12a35');
INSERT INTO public.meta VALUES ('k', '值');
INSERT INTO public.meta VALUES ('audit_head', '1 a65a5af683e4247a5ba2764be070fc52ec6305e9f524502391672a4ae2c488e0');
INSERT INTO public.meta VALUES ('receipts_head', '1 e610777721cc0f76c732fd17a162e420e3c8ce5a9524bce3999b52c9bed2afd9');
INSERT INTO public.outlet_positions VALUES ('fire', 17, 1700000000000000, 1700000000000009, 1, 1700000000000020, NULL, '{"gas_reading/not_in_service":2}', NULL, NULL, NULL);
INSERT INTO public.outlets VALUES ('fire', 1700000000000000, '{"at":null,"communities":null,"data_kinds":["gas_reading"],"department":"","disabled":false,"every_s":null,"fields":{},"format":"json","id":"fire","insecure":false,"mode":"http","most_records":1000,"name_en":"","name_zh":"消防","signature":"hmac-sha256","timeout_s":30.0,"topic":"","url":"https://fire.example/in"}', 'cli:root');
INSERT INTO public.past_devices VALUES (1, 'cam-1', 'xinjinglou', 'camera', '大门摄像机', 'Gate camera', '1 号楼', '大门', '["室外","gate"]', '海康', 'DS-2CD', 'SN 0001', 90500000, 3600000000, true, 1700000000000000, 1700000000000010, 1700000000000001, 1700000000000011, 1700000000000000, NULL, 1700000000000080);
INSERT INTO public.past_devices VALUES (2, 'cam-1', 'xinjinglou', 'camera', '大门摄像机', 'Gate camera', '旧楼', '大门', '["室外","gate"]', '海康', 'DS-2CD', 'SN 0001', 90500000, 3600000000, true, 1700000000000000, 1700000000000010, 1700000000000001, 1700000000000011, 1700000000000080, 'user:wang', 1700000000000090);
INSERT INTO public.planned VALUES ('xinjinglou', 'camera', 182);
INSERT INTO public.policies VALUES ('kind', 'camera', -4611686018427387904, 180000000, NULL, NULL, NULL, NULL, 60000000, -4611686018427387904);
INSERT INTO public.policies VALUES ('kind', 'gas_alarm', -4611686018427387904, 90000000, NULL, NULL, NULL, NULL, 30000000, -4611686018427387904);
INSERT INTO public.policies VALUES ('device', 'cam-1', -4611686018427387904, 90500000, 3600000000, true, 'xinjinglou', 'camera', NULL, -4611686018427387904);
INSERT INTO public.policies VALUES ('community', 'yiminyuan', 1700000000000000, 40000000, NULL, NULL, NULL, NULL, NULL, 1700000000000000);
INSERT INTO public.published VALUES ('online-rate', 1700000000000000, 1700000000000002, 811, 826, '{"states":{"online":811},"价":1.5}', '658d08123d62353a76ec02c030181de4b5b73191da82d26b41a91ec5217d1049', 1, '{"form":1,"证":"0"}', '9ef5413e071286a56988b603da7ba517a5f1e8febed289e704d32cf3b565c421', '0000000000000000000000000000000000000000000000000000000000000000', '1e0481a8955900a0da78114dc4f97958887294f334862e8df8dec32579d12a35');
INSERT INTO public.quarantine VALUES (7, 1700000000000000, 'bad_json', '第 1 列', 'community/x', '\x00ff', 2);
INSERT INTO public.receipt_parts VALUES (1, 'gas_reading', 'xinjinglou', 'fire', 1700000000000011, 1700000000000012, 2, 1700000000000001, 1700000000000003, NULL, NULL);
INSERT INTO public.receipt_parts VALUES (1, 'perimeter_event', 'xinjinglou', 'fire', 1700000000000011, 1700000000000012, 0, NULL, NULL, 1700000000000000, 1700000000000009);
INSERT INTO public.receipts VALUES (1, 'fire', 'fire-1', '0000000000000000000000000000000000000000000000000000000000000000', '[{"data_kind":"gas_reading","community":"xinjinglou","count":2,"first_us":1700000000000001,"last_us":1700000000000003,"quiet_from_us":null,"quiet_until_us":null},{"data_kind":"perimeter_event","community":"xinjinglou","count":0,"first_us":null,"last_us":null,"quiet_from_us":1700000000000000,"quiet_until_us":1700000000000009}]', '{"status":200,"答":"好"}', 1700000000000010, 1700000000000011, 1700000000000012, '0000000000000000000000000000000000000000000000000000000000000000', 'e610777721cc0f76c732fd17a162e420e3c8ce5a9524bce3999b52c9bed2afd9');
INSERT INTO public.repeats VALUES ('fire', 2, 1);
INSERT INTO public.runs VALUES ('cam-1', 1700000000000000, 1700000000000001, 1700000000000000, NULL, 1, NULL);
INSERT INTO public.sessions VALUES (1, '3f3af1ecebbd1410ab417ec0d27bbfcb5d340e177ae159b59fc8626c2dfd9175', 1, 1700000000000000, 1700000000000000, 1700000000000009, NULL, '192.0.2.7', 'Firefox');
INSERT INTO public.sharing_reports VALUES (1, 'fire', '2023-11-15', 1, 1700000000000070, 'token:1 fire', '{"gas_reading":[1,"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"]}', '{"gas_reading":[2,"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"]}');
INSERT INTO public.tokens VALUES (1, '3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0', 'pulse_abcd', '脚本', 1, '["devices:read"]', NULL, 1700000000000000, 1700000000000009, NULL, NULL, NULL);
INSERT INTO public.users VALUES (1, 'wang', '王工', 'manager', '["xinjinglou"]', '[]', '$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA', 1700000000000000, 1700000000000000, NULL);
INSERT INTO public.watermark VALUES (1, 1700000000000040, true, 1700000000000041, 'session');
SELECT pg_catalog.setval('public.blinds_id_seq', 1, true);
SELECT pg_catalog.setval('public.deletions_id_seq', 1, true);
SELECT pg_catalog.setval('public.delivery_attempts_id_seq', 1, true);
SELECT pg_catalog.setval('public.events_id_seq', 1, true);
SELECT pg_catalog.setval('public.incidents_id_seq', 1, true);
SELECT pg_catalog.setval('public.invitations_id_seq', 1, true);
SELECT pg_catalog.setval('public.job_runs_id_seq', 1, true);
SELECT pg_catalog.setval('public.life_changes_id_seq', 1, true);
SELECT pg_catalog.setval('public.maintenance_id_seq', 4, true);
SELECT pg_catalog.setval('public.past_devices_number_seq', 2, true);
SELECT pg_catalog.setval('public.sessions_id_seq', 1, true);
SELECT pg_catalog.setval('public.sharing_reports_number_seq', 1, true);
SELECT pg_catalog.setval('public.tokens_id_seq', 1, true);
SELECT pg_catalog.setval('public.users_id_seq', 1, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT pk_attempts PRIMARY KEY (subject);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT pk_audit PRIMARY KEY (number);
ALTER TABLE ONLY public.blinds
    ADD CONSTRAINT pk_blinds PRIMARY KEY (id);
ALTER TABLE ONLY public.communities
    ADD CONSTRAINT pk_communities PRIMARY KEY (id);
ALTER TABLE ONLY public.counters
    ADD CONSTRAINT pk_counters PRIMARY KEY (name);
ALTER TABLE ONLY public.data_kinds
    ADD CONSTRAINT pk_data_kinds PRIMARY KEY (id, recorded_us);
ALTER TABLE ONLY public.deletions
    ADD CONSTRAINT pk_deletions PRIMARY KEY (id);
ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT pk_deliveries PRIMARY KEY (outlet, number);
ALTER TABLE ONLY public.delivery_attempts
    ADD CONSTRAINT pk_delivery_attempts PRIMARY KEY (id);
ALTER TABLE ONLY public.delivery_days
    ADD CONSTRAINT pk_delivery_days PRIMARY KEY (outlet, delivery, data_kind, day);
ALTER TABLE ONLY public.device_credentials
    ADD CONSTRAINT pk_device_credentials PRIMARY KEY (device);
ALTER TABLE ONLY public.devices
    ADD CONSTRAINT pk_devices PRIMARY KEY (id);
ALTER TABLE ONLY public.discovered
    ADD CONSTRAINT pk_discovered PRIMARY KEY (device, community, kind);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT pk_events PRIMARY KEY (id);
ALTER TABLE ONLY public.incidents
    ADD CONSTRAINT pk_incidents PRIMARY KEY (id);
ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT pk_invitations PRIMARY KEY (id);
ALTER TABLE ONLY public.job_runs
    ADD CONSTRAINT pk_job_runs PRIMARY KEY (id);
ALTER TABLE ONLY public.kinds
    ADD CONSTRAINT pk_kinds PRIMARY KEY (id);
ALTER TABLE ONLY public.life_changes
    ADD CONSTRAINT pk_life_changes PRIMARY KEY (id);
ALTER TABLE ONLY public.maintenance
    ADD CONSTRAINT pk_maintenance PRIMARY KEY (id);
ALTER TABLE ONLY public.meta
    ADD CONSTRAINT pk_meta PRIMARY KEY (key);
ALTER TABLE ONLY public.outlet_positions
    ADD CONSTRAINT pk_outlet_positions PRIMARY KEY (outlet);
ALTER TABLE ONLY public.outlets
    ADD CONSTRAINT pk_outlets PRIMARY KEY (id, recorded_us);
ALTER TABLE ONLY public.past_devices
    ADD CONSTRAINT pk_past_devices PRIMARY KEY (number);
ALTER TABLE ONLY public.planned
    ADD CONSTRAINT pk_planned PRIMARY KEY (community, kind);
ALTER TABLE ONLY public.policies
    ADD CONSTRAINT pk_policies PRIMARY KEY (scope, subject, since_us, recorded_us);
ALTER TABLE ONLY public.published
    ADD CONSTRAINT pk_published PRIMARY KEY (name, at_us);
ALTER TABLE ONLY public.quarantine
    ADD CONSTRAINT pk_quarantine PRIMARY KEY (number);
ALTER TABLE ONLY public.receipt_parts
    ADD CONSTRAINT pk_receipt_parts PRIMARY KEY (receipt, data_kind, community);
ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT pk_receipts PRIMARY KEY (number);
ALTER TABLE ONLY public.repeats
    ADD CONSTRAINT pk_repeats PRIMARY KEY (outlet, number, again_of);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT pk_runs PRIMARY KEY (device, start_us, recorded_us, since_us);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT pk_sessions PRIMARY KEY (id);
ALTER TABLE ONLY public.sharing_reports
    ADD CONSTRAINT pk_sharing_reports PRIMARY KEY (number);
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT pk_tokens PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT pk_users PRIMARY KEY (id);
ALTER TABLE ONLY public.watermark
    ADD CONSTRAINT pk_watermark PRIMARY KEY (id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT uq_events_topic_key UNIQUE (topic, key);
ALTER TABLE ONLY public.incidents
    ADD CONSTRAINT uq_incidents_community_opened_us UNIQUE (community, opened_us);
ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT uq_invitations_digest UNIQUE (digest);
ALTER TABLE ONLY public.published
    ADD CONSTRAINT uq_published_sequence UNIQUE (sequence);
ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT uq_receipts_outlet_delivery UNIQUE (outlet, delivery);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT uq_sessions_digest UNIQUE (digest);
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT uq_tokens_digest UNIQUE (digest);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT uq_users_name UNIQUE (name);
CREATE INDEX ix_audit_actor ON public.audit USING btree (actor);
CREATE INDEX ix_audit_at_us ON public.audit USING btree (at_us);
CREATE INDEX ix_audit_subject ON public.audit USING btree (subject);
CREATE INDEX ix_deliveries_acknowledged_us ON public.deliveries USING btree (acknowledged_us);
CREATE INDEX ix_deliveries_made_us ON public.deliveries USING btree (made_us);
CREATE INDEX ix_deliveries_state_outlet_number ON public.deliveries USING btree (state, outlet, number);
CREATE INDEX ix_delivery_attempts_at_us ON public.delivery_attempts USING btree (at_us);
CREATE INDEX ix_delivery_attempts_outlet_id ON public.delivery_attempts USING btree (outlet, id);
CREATE INDEX ix_delivery_days_outlet_data_kind_day ON public.delivery_days USING btree (outlet, data_kind, day);
CREATE INDEX ix_devices_community_kind ON public.devices USING btree (community, kind);
CREATE INDEX ix_devices_kind ON public.devices USING btree (kind);
CREATE INDEX ix_events_recorded_us ON public.events USING btree (recorded_us);
CREATE INDEX ix_job_runs_name_due_us ON public.job_runs USING btree (name, due_us);
CREATE INDEX ix_life_changes_device ON public.life_changes USING btree (device);
CREATE INDEX ix_life_changes_successor ON public.life_changes USING btree (successor);
CREATE INDEX ix_past_devices_id ON public.past_devices USING btree (id);
CREATE INDEX ix_quarantine_observed_us ON public.quarantine USING btree (observed_us);
CREATE INDEX ix_quarantine_reason_number ON public.quarantine USING btree (reason, number);
CREATE INDEX ix_receipt_parts_acknowledged_us ON public.receipt_parts USING btree (acknowledged_us);
CREATE INDEX ix_receipt_parts_data_kind_community_acknowledged_us ON public.receipt_parts USING btree (data_kind, community, acknowledged_us);
CREATE INDEX ix_receipt_parts_data_kind_community_last_us ON public.receipt_parts USING btree (data_kind, community, last_us);
CREATE INDEX ix_repeats_outlet_again_of ON public.repeats USING btree (outlet, again_of);
CREATE INDEX ix_sessions_user_id ON public.sessions USING btree (user_id);
CREATE INDEX ix_sharing_reports_outlet_day_number ON public.sharing_reports USING btree (outlet, day, number);
CREATE INDEX ix_tokens_user_id ON public.tokens USING btree (user_id);
CREATE TRIGGER audit_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION public.audit_append_only();
CREATE TRIGGER data_kinds_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.data_kinds FOR EACH STATEMENT EXECUTE FUNCTION public.data_kinds_append_only();
CREATE TRIGGER delivery_attempts_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.delivery_attempts FOR EACH STATEMENT EXECUTE FUNCTION public.delivery_attempts_append_only();
CREATE TRIGGER outlets_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.outlets FOR EACH STATEMENT EXECUTE FUNCTION public.outlets_append_only();
CREATE TRIGGER published_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.published FOR EACH STATEMENT EXECUTE FUNCTION public.published_append_only();
CREATE TRIGGER receipt_parts_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.receipt_parts FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_parts_append_only();
CREATE TRIGGER receipts_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.receipts FOR EACH STATEMENT EXECUTE FUNCTION public.receipts_append_only();
ALTER TABLE ONLY public.devices
    ADD CONSTRAINT fk_devices_community FOREIGN KEY (community) REFERENCES public.communities(id);
ALTER TABLE ONLY public.devices
    ADD CONSTRAINT fk_devices_kind FOREIGN KEY (kind) REFERENCES public.kinds(id);
ALTER TABLE ONLY public.incidents
    ADD CONSTRAINT fk_incidents_blind_id FOREIGN KEY (blind_id) REFERENCES public.blinds(id);
ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT fk_invitations_user_id FOREIGN KEY (user_id) REFERENCES public.users(id);
ALTER TABLE ONLY public.planned
    ADD CONSTRAINT fk_planned_community FOREIGN KEY (community) REFERENCES public.communities(id);
ALTER TABLE ONLY public.planned
    ADD CONSTRAINT fk_planned_kind FOREIGN KEY (kind) REFERENCES public.kinds(id);
ALTER TABLE ONLY public.receipt_parts
    ADD CONSTRAINT fk_receipt_parts_receipt FOREIGN KEY (receipt) REFERENCES public.receipts(number);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT fk_sessions_user_id FOREIGN KEY (user_id) REFERENCES public.users(id);
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT fk_tokens_user_id FOREIGN KEY (user_id) REFERENCES public.users(id);
