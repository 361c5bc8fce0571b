// What a Momentum configuration may hold and has no part here: options and stanzas that are read over with a warning,
// so that a file can stay as it is. Names as Momentum's configuration reference lists them.

const IGNORED_OPTIONS = `
  accept_unqualified_recipient_addresses accept_unqualified_sender_addresses authdigestmd5parameters
  authloginparameters authplainparameters open_relay
  accept_queue_backlog adaptive_adjustment_interval adaptive_alert_email_destination adaptive_attempt_threshold
  adaptive_body_timeout adaptive_default_suspension adaptive_ehlo_timeout adaptive_enabled
  adaptive_fbl_volume_threshold adaptive_idle_timeout adaptive_mailfrom_timeout
  adaptive_max_deliveries_per_connection adaptive_max_outbound_connections adaptive_max_recipients_per_batch
  adaptive_max_recipients_per_connection adaptive_max_resident_active_queue adaptive_max_retries
  adaptive_max_retry_interval adaptive_notification_events adaptive_notification_interval
  adaptive_outbound_throttle_messages adaptive_positive_adjustment_interval adaptive_rcptto_timeout
  adaptive_rejection_rate_suspension_percentage adaptive_retry_fuzz adaptive_retry_interval adaptive_rset_timeout
  adaptive_scope adaptive_sweep_rule_enabled address_metrics_cleanse_interval address_metrics_lifetime alias_schemes
  allow_ip_literal allow_null_envelope_sender allow_trailing_whitespace_in_commands async_bounce_rendering
  banner_hostname binding_auto_replumb binding_auto_replumb_interval bounce_behavior bounce_domains bounce_pattern
  bounce_suppress_list clear_mail_queue_maintainers click_tracking_enabled click_tracking_scheme
  cluster_max_outbound_connections cluster_outbound_throttle_connections cluster_outbound_throttle_messages
  cluster_scope_max_outbound_connections cluster_server_max_outbound_connections concurrency
  connect_timeout_to_delay connection_allocation_aggressiveness context control_client_timeout crypto_engine
  crypto_lock_method debug_throttle_max_num_same_message debug_throttle_period_secs default_binding default_charset
  delayed_binding_domain_fuzz delayed_queue_scan_interval delivery_pool disable_chunked disable_nagle_algorithm
  disk_queue_drain_rate dns_cache_negative_ttl dns_cache_purge_interval dns_expire_interval dns_failures_to_purge
  dns_fallback_to_tcp dns_max_udp_queries_per_port dns_rate_limit_enabled dns_rate_limit_max_queue
  dns_rate_limit_mx_queries dns_rate_limit_period dns_udp_rcvbuf_size dns_udp_sndbuf_size
  domain_for_unqualified_recipient_addresses domain_for_unqualified_sender_address domainkeys
  drop_body_after_trans_fail duravip_follow duravip_preference ecstream_port ecstream_timeout enable_dane
  enable_duravip enable_fbl_header_insertion event_loop events_per_iter exclude_vctx_conn exclude_vctx_mess
  expensive_batch_assessment file_mode force_fsync fully_resolve_before_smtp
  generate_bounces_for_multi_recipient_policy_rejections growbuf_size hot_domains hostname idle_time
  inbound_throttle_messages initial_hash_buckets inline_transfail_processing keep_message_dicts_in_memory
  large_message_threshold legacy_message_threshold license listen_backlog listener_sessions local_changes_file
  local_changes_only log_hires_timestamp mail_queue_check_vm_interval maintainer_pool malloc2mmap_threshold
  masterdb_file match_cache_life match_cache_size max_dns_ttl max_message_size max_receptions_per_connection
  max_recipients_per_message max_request_size max_resident_active_queue max_resident_messages max_resident_transfails
  max_timed_events_per_iter mcmt_reception mdn_failures_notify memory_goal memory_hwm
  migrate_connections_between_sibling_domains mime_parse_large_messages_during_reception min_dns_ttl
  mta_sts_dns_cname_max_depth mta_sts_policy_store mx_failures_fallback_to_a only_use_best_mx_for_relay_domains
  open_tracking_enabled open_tracking_scheme opendkim_sign pcre_cache_size pcre_cache_ttl permastore_interval pidfile
  pool_name prefer_ipv6_mxs received_hostname reconfig_message relay_domains relay_for_sending_domains require_ehlo
  reserve_maintenance_interval resolv_conf rfc2821_allow_whitespace_in_envelope rfc2821_pedantic_address_rules
  rfc2822_date_header rfc2822_lone_lf_in_body rfc2822_lone_lf_in_headers rfc2822_max_line_length
  rfc2822_max_line_length_policy rfc2822_messageid_header rfc2822_missing_headers rfc2822_trace_headers scheduler
  scope_max_outbound_connections send_8bitmime server_max_file_descriptors server_reserve_outbound_connections
  service_sessions signing_stats siv_throttle_cache_size smtp_extensions soft_bounce_drain_rate spool_mode spoolbase
  ssl_lock_method starttls_injection_policy static_banner swap_out_meta_after_each_tempfail tcp_buffer_size
  tcp_recv_buffer_size tcp_send_buffer_size timestampformat tls_allow_renegotiation tls_client_ca tls_dhparams_file
  tls_ec_curve_names tls_enable_dhe_ciphers tls_engine tls_verified_peer_can_relay tls_verified_peer_is_authorized
  tls_verify_mode tlsa_expire_interval tlsv13_ciphersuites trace_smtp_mode tracking_domain tracking_link_expiry
  transfail_drain_rate transform_8bitmime_content unlink_on_spool_in_failure use_iflist_cache use_ipv6 use_mmap
  use_sendfile xclient
`;

const IGNORED_STANZAS = `
  Adaptive Adaptive_Backstore_LevelDB Adaptive_Backstore_Riak Adaptive_Sweep_Rule Alerting Authorization
  Bounce_Classifier_Override Bounce_Logger Chunk_Logger Cluster Control_Listener Curfew Custom_Logger Debug_Flags
  Delay_DSN DS_Core EC_Logger ECCluster_Listener ECStream_Listener Eventloop FBL Inbound_Audit Logs
  Msgcserver_Listener OpenDKIM Outbound_Audit Pathway Pathway_Group Peer Persist_IO Response_Transcode
  Rejectlog Security Sieve SMTPAPI SNMP SNMP_Traps Spool_Dupes ThreadPool XMPP_Listener
  AS_Logger Cidrdb Conntrol Datasource DKIM_Validate Engagement_Tracker Event_Hydrant Exim_Logger HTTP_Logger Httpsrv
  ILF_Logger LDAP Msg_Gen Outbound_SMTP_Auth Pgsql Postfix_Logger Riak Sendmail_Logger SPF
`;

/** Of Momentum's module of the same name: mail is sent all the same, and a relay that asks for it refuses. */
const RELAY_PASSWORDS = /^outbound_smtp_auth_(user|pass|type|key)$/i;

/** What Momentum reads in listeners as well. */
const LISTENER_OPTIONS = new Set(['message_expiration', 'tls_ca', 'tls_ciphers', 'tls_protocols']);

/** Why an option of Momentum's has no part here; undefined when it is not known as one. */
export function whyIgnored(name: string): string | undefined {
  if (RELAY_PASSWORDS.test(name)) return `${name} has no effect: the relay is not authenticated to`;
  return isIgnoredOption(name) ? `Momentum's ${name} has no part here` : undefined;
}

/** An option that Momentum reads in a listener, and that holds for deliveries alone here. */
export function isIdleInListener(name: string): boolean {
  return LISTENER_OPTIONS.has(name.toLowerCase());
}

const OPTION_NAMES = words(IGNORED_OPTIONS);
export const IGNORED_STANZA_NAMES = words(IGNORED_STANZAS);
const OPTIONS = new Set(OPTION_NAMES);
const STANZAS = new Set(IGNORED_STANZA_NAMES.map((name) => name.toLowerCase()));

export function isIgnoredOption(name: string): boolean {
  return OPTIONS.has(name.toLowerCase());
}

export function isIgnoredStanza(keyword: string): boolean {
  return STANZAS.has(keyword.toLowerCase());
}

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}
