/** `config/update.yml` as the specification prints it under "Update System Configuration", word for word, comments included. */
export const SPECIFIED = `# config/update.yml
update_system:
  # Backup settings
  backup:
    enabled: true
    directory: "backups/updates"
    encryption: true
    retention_days: 30
  
  # Update behavior
  behavior:
    auto_backup: true
    auto_restart: true
    maintenance_mode: true
    cluster_coordination: true
  
  # Safety settings
  safety:
    require_confirmation: true
    validate_migrations: true
    test_after_update: true
    rollback_on_failure: true
  
  # Clustering
  clustering:
    enabled: true
    coordination_timeout: 300
    rolling_updates: true
    max_concurrent_nodes: 1
`
